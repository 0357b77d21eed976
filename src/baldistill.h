/* SPDX-License-Identifier: Apache-2.0 */
/*
 * baldistill.h - the interface of libbaldistill, for C and C++. Every name begins with bd_ or BD_.
 *
 *     cc program.c $(pkg-config --cflags --libs baldistill)
 *
 * One function for each of the commands score, generate, train and run, with
 * the command's options in a struct; baldistill(3) describes them.
 *
 *     struct bd_score_options options = {sizeof options};
 *     struct bd_error error;
 *     options.model = "model";
 *     options.data = "rows.jsonl";
 *     options.output = "scores.jsonl";
 *     if (bd_score(&options, &error))
 *             fprintf(stderr, "%s\n", error.message);
 *
 * Zero stands for the default of every option. `size` is the struct's size as
 * the program was compiled: later versions add members at the end only, and a
 * program compiled against an older header runs unchanged. A program that sets
 * a member this library does not know, or one called reserved, gets BD_USAGE.
 *
 * Texts belong to the caller and are only read, during the call. Messages name
 * options as the command line does: '--max-new-tokens' is max_new_tokens.
 *
 * One call at a time in a process: a second waits for nobody and must not be
 * made, neither from another thread nor from a callback. Callbacks come from
 * the calling thread. Nothing is printed, and the process is never ended: a
 * limit on files (SIGXFSZ) is BD_IO.
 * Backends are opened at run time from the folder the library was configured
 * for, or from $BALDISTILL_MODULE_DIR.
 */
#ifndef BALDISTILL_H
#define BALDISTILL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The exit statuses of the program (baldistill(1), EXIT STATUS). */
enum bd_code {
	BD_OK = 0,
	BD_USAGE = 64,       /* an option is missing, or unknown to this library */
	BD_DATA = 65,        /* bad data or model file, bad response content */
	BD_NOINPUT = 66,     /* a named input is missing or not a regular file */
	BD_UNAVAILABLE = 69, /* the teacher cannot be reached */
	BD_INTERNAL = 70,    /* a fault of the library */
	BD_MEMORY = 71,      /* out of memory, or an operating system limit */
	BD_CANTCREATE = 73,  /* an output cannot be created */
	BD_IO = 74,          /* reading or writing failed, disk full included */
	BD_TEMPFAIL = 75,    /* try again later */
	BD_PROTOCOL = 76,    /* TLS, redirect, not the protocol expected */
	BD_NOPERM = 77,      /* permission or API key */
	BD_CONFIG = 78,      /* the plan file or an option's value */
	BD_BUDGET = 80,      /* budget used up before the target */
	BD_QUOTA = 81,       /* the teacher's quota or credit */
	BD_LEDGER = 82,      /* the ledger refuses: corrupt, rolled back, foreign */
	BD_NOTFINITE = 83    /* training is no longer finite */
};

struct bd_error {
	int code;           /* enum bd_code */
	char message[1024]; /* one line, lower case, no full stop; "" after success */
};

/* A note or a line of progress, without its line end; every few seconds at most. */
typedef void (*bd_message)(void *context, const char *text);

/* Instruction-following difficulty of every row. */
struct bd_score_options {
	size_t size;               /* sizeof(struct bd_score_options) */
	bd_message message;        /* NULL: silent */
	void *context;             /* of message */
	const char *model;         /* Hugging Face model directory; needed */
	const char *data;          /* rows to read, JSON Lines; needed */
	const char *output;        /* rows to write, JSON Lines; needed */
	const char *backend;       /* NULL: "auto" */
	const char *dtype;         /* of the base weights, "float32" or "bfloat16"; NULL: "float32" */
	const char *chat_template; /* "auto", a family, or NULL: none */
	const char *adapter;       /* PEFT directory to run with, or NULL */
	uint64_t memory;           /* bound of weights and arrays in bytes; 0: none */
	uint64_t threads;          /* 0: all of the machine's */
	int batch_invariant;       /* not 0: rows do not depend on their neighbours, exactly */
	int reserved;              /* 0 */
};

/* A completion for every row; a killed call goes on where it was. */
struct bd_generate_options {
	size_t size;
	bd_message message;
	void *context;
	const char *model, *data, *output, *backend, *dtype, *chat_template, *adapter; /* as above */
	uint64_t memory, threads;
	int batch_invariant;
	int token_nll;             /* not 0: write the negative log-likelihood of every token */
	uint64_t seed;             /* of the draws; 0: 1 */
	uint64_t slots;            /* rows decoded together; 0: 64, on a GPU 256 */
	uint64_t max_new_tokens;   /* 0: 200 */
	uint64_t top_k;            /* 0: all */
	double temperature;        /* 0: greedy */
	double top_p;              /* 0: 1 */
};

/* Fine-tune on rows, LoRA or full; a killed call goes on from its newest checkpoint. */
struct bd_train_options {
	size_t size;
	bd_message message;
	void *context;
	const char *model, *data;
	const char *output;        /* directory of the adapter or checkpoint; needed */
	const char *backend, *dtype, *chat_template;
	uint64_t memory, threads;
	const char *config;        /* YAML file with training keys (baldistill-plan(5)), or NULL */
	const char *const *keys;   /* "learning_rate=1e-4", …, ended by NULL, over the file's; NULL: none */
	const char *init;          /* "random": train from random weights; NULL: the model's */
	const char *init_adapter;  /* start from this adapter, or NULL */
	uint64_t seed;             /* of order, dropout and first values; 0: 1 */
	uint64_t save_steps;       /* a checkpoint every so many steps; 0: every epoch */
	uint64_t tokens;           /* computed together at most; 0: 2048, on a GPU 8192 */
	int no_shuffle;            /* not 0: keep the order of the file */
	int reserved;              /* 0 */
};

/* The whole distillation that a plan describes; a killed call goes on where it was. */
struct bd_run_options {
	size_t size;
	bd_message message;
	void *context;
	const char *plan;          /* plan file, baldistill-plan(5); needed */
	const char *until;         /* "[STAGE.]STEP", such as "0.select": stop after it; NULL: to the end */
	int allow_http;            /* not 0: talk to a teacher on another machine without TLS */
	int strict;                /* not 0: count what a teacher refused and says it did not bill, too */
};

/* Version of the library in use, "MAJOR.MINOR.PATCH"; never NULL, static storage. */
const char *bd_version(void);

/* 0, or -1 with the error filled. error may be NULL. */
int bd_score(const struct bd_score_options *options, struct bd_error *error);
int bd_generate(const struct bd_generate_options *options, struct bd_error *error);
int bd_train(const struct bd_train_options *options, struct bd_error *error);
int bd_run(const struct bd_run_options *options, struct bd_error *error);

#ifdef __cplusplus
}
#endif
#endif
