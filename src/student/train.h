// SPDX-License-Identifier: Apache-2.0
/*
 * train.h - fine-tuning on tokenised rows, safe to kill.
 *
 *     struct trainee trainee;
 *     if (trainee_open(&trainee, model, &kind, &err))
 *             return -1;
 *     struct train_result result;
 *     if (student_train(&trainee, rows, n, &options, &files, &result, &err))
 *             …
 *     adapter_save(trainee.adapter, directory, base, &err);
 *     train_finish(&files, &err);                           // checkpoints go
 *     trainee_close(&trainee);
 *
 * A step is per_device_train_batch_size * gradient_accumulation_steps rows; how
 * it is cut into calls changes memory and speed, not the gradient (batch.h).
 * Every epoch has its own order of rows, drawn from the seed; its last step may
 * have fewer. Steps count from 1 to S = epochs * steps of an epoch.
 *
 * Learning rate of step s, w = ceil(warmup_ratio * S) warm-up steps: while
 * s <= w, lr * (s - 1) / w; after them, with x = (s - 1 - w) / (S - w), linear
 * lr * (1 - x), cosine lr * (1 + cos(pi x)) / 2, constant lr.
 *
 * files.directory holds trainer_log.jsonl, one line a step, and, while the
 * work is not finished, checkpoint-STEP directories (checkpoint.h). The same
 * call goes on from the newest whole checkpoint of the same configuration and
 * ends with the same bytes as one that was never interrupted (same backend,
 * same threads). Without a directory nothing is written, and nothing gone on
 * with.
 *
 * Two processes in one directory would remove each other's checkpoints. Where
 * nothing else keeps them apart, whoever looks for a finished result takes the
 * lock before that and keeps it until its own is saved:
 *
 *     int lock = train_lock(directory, &err);               // ERR_TEMPFAIL: another process has it
 *     …
 *     close(lock);
 *
 * Failures: ERR_NOTFINITE where a loss or gradient is not finite, with step
 * and rows, the last checkpoint kept; ERR_MEMORY; ERR_IO, ERR_CANTCREATE.
 */
#ifndef BALDISTILL_STUDENT_TRAIN_H
#define BALDISTILL_STUDENT_TRAIN_H

#include "src/base/progress.h"
#include "src/model/pass.h"

#ifdef __cplusplus
extern "C" {
#endif

struct train_row {
	const int32_t *ids;   /* [n], n >= 2 */
	int64_t n;
	int64_t first_target; /* 1 … n - 1: tokens from there on are targets */
	uint32_t key;         /* names its dropout masks: the same for the same row id */
	size_t line;          /* for messages */
	const char *domain;   /* NULL: none */
};

/* What is trained, with PEFT's names for an adapter. */
struct train_kind {
	bool full;
	struct adapter_config lora;
	const char *init_adapter; /* directory of first values, whose rank, alpha and targets count; NULL: drawn */
	uint64_t seed, memory;    /* bytes that the model and what full fine-tuning holds beside it may take; 0: any */
};

struct trainee {
	struct model *model;
	struct adapter *adapter; /* attached; NULL in full fine-tuning */
	struct full *full;
	struct parameters params;
};

int trainee_open(struct trainee *trainee, struct model *model, const struct train_kind *kind, struct err *err);
void trainee_close(struct trainee *trainee);

enum schedule { SCHEDULE_LINEAR, SCHEDULE_COSINE, SCHEDULE_CONSTANT };

/* Names are those of transformers' TrainingArguments. */
struct train_options {
	double learning_rate, weight_decay, adam_beta1, adam_beta2, adam_epsilon, max_grad_norm, warmup_ratio;
	enum schedule lr_scheduler_type;
	int64_t num_train_epochs, per_device_train_batch_size, gradient_accumulation_steps;
	bool gradient_checkpointing;
	bool shuffle;          /* false: file order in every epoch */
	bool share_prefix;     /* false: what rows begin with is computed in each */
	int64_t tokens;        /* of a call; 0: 2048, on a GPU (device.remote) 8192 or what `memory` has room for */
	int64_t save_steps;    /* a checkpoint every so many steps; 0: at the end of every epoch */
	uint64_t seed;
	uint64_t memory;       /* bound of weights and arrays in bytes; 0: none */
};

/* The values of METHOD §5: AdamW 2e-4, decay 0.03, linear, batch 16, 8 epochs, clip 1. */
#define TRAIN_DEFAULTS                                                                                                 \
	{.learning_rate = 2e-4, .weight_decay = 0.03, .adam_beta1 = 0.9, .adam_beta2 = 0.999, .adam_epsilon = 1e-8,    \
	 .max_grad_norm = 1, .lr_scheduler_type = SCHEDULE_LINEAR, .num_train_epochs = 8,                              \
	 .per_device_train_batch_size = 16, .gradient_accumulation_steps = 1, .shuffle = true, .share_prefix = true,   \
	 .seed = 1}
extern const struct train_options train_defaults;

struct train_files {
	const char *directory;      /* exists; NULL: none */
	const char *dump_gradients; /* file for the first step's gradients, before clipping; NULL: none. No resuming then. */
	const struct progress_output *progress; /* steps; may be NULL */
	void (*note)(void *context, const char *message); /* what the user should know; may be NULL */
	void *context;
	bool restart; /* checkpoints of another training (threads, backend) are removed; otherwise they are refused */
};

struct train_result {
	int64_t steps, resumed_from; /* 0: from the start */
	double first_loss, last_loss;
};

int student_train(struct trainee *trainee, const struct train_row *rows, size_t n, const struct train_options *options,
		  const struct train_files *files, struct train_result *result, struct err *err);

/* A descriptor that holds the directory, or -1. */
int train_lock(const char *directory, struct err *err);

/* Results are saved: remove the checkpoints. */
int train_finish(const struct train_files *files, struct err *err);

/* Whether a directory holds checkpoints of an unfinished training. */
bool checkpoint_any(const char *directory);

#ifdef __cplusplus
}
#endif
#endif
