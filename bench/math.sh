#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# math.sh STUDENT DATA OUTPUT [METHODS [SEEDS]]: as r52.sh, on the authors' part of MATH (7 subjects, 4,125 problems; DATA
# holds math/) with SmolLM2-135M-Instruct: STUDENT is a folder as peers.sh makes it. The paper has B 2100 and K 5; on a
# CPU take less, such as B=210 K=3 and a TEST of some hundred problems.
set -eu
set=math type=math head='[Algebra, Intermediate Algebra, Prealgebra]'

large() {
	model=$student/smollm2 prompts= budget=2100 stages=5 tokens=384 training='{max_length: 768}'
}

small() {
	echo 'math.sh: a student that has read nothing but news cannot learn this task; name a folder of peers.sh' >&2
	exit 64
}

. "$(dirname "$0")/recorded.sh"
