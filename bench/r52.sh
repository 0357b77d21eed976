#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# r52.sh STUDENT DATA OUTPUT [METHODS [SEEDS]]: the standing experiment on R52 with the recorded GPT-4 teacher: METHODS
# (a comma between two) and SEEDS side by side. STUDENT is a folder as r52_student.sh makes it, with a small student of
# our own, or as peers.sh makes it, with SmolLM2-135M-Instruct; DATA the folder that holds r52/. Goes on where it was
# interrupted, and can do one method and seed at a time; OUTPUT/run/METHOD/SEED are ordinary run directories. BALDISTILL
# names the program. From the environment also B, K, PRESET (recommended; one OUTPUT for each), DTYPE (float32), SLOTS
# (the plan's default), CANDIDATES (20, or all: students' answers read per domain), TRAIN and TEST (other rows than
# data/r52's, to try settings on a part of the pool) and TRAINING (other settings: a YAML map on one line).
set -eu
set=r52 type=classification head='{above: 50}'

small() {
	# Of the rationales that came with synthetic examples 95 % have more than 100 of its tokens, and end in the answer.
	model=$student/student prompts=$student/prompts budget=2600 stages=5 tokens=384
	training='{finetuning_type: full, learning_rate: 1.0e-3, num_train_epochs: 5, max_length: 768,
		per_device_train_batch_size: 8}'
}

large() {
	# The paper's rate is for students fifty times as large: with it this one names no class in 1,816 of 2,568 answers.
	model=$student/smollm2 prompts= budget=260 stages=3 tokens=100
	training='{learning_rate: 1.0e-3, lora_target_modules: [all-linear], num_train_epochs: 5, max_length: 768}'
}

. "$(dirname "$0")/recorded.sh"
