// SPDX-License-Identifier: Apache-2.0
/* main.c - options and the table of jobs. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/gpu/gpu_bench.h"

static const struct job {
	const char *name;
	job_fn *run;
} jobs[] = {
	{"train", job_train}, {"score", job_score},     {"decode", job_decode},
	{"roofs", job_roofs}, {"profile", job_profile}, {"profile_decode", job_profile_decode},
};

static const struct job *find_job(const char *name)
{
	for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
		if (!strcmp(jobs[i].name, name))
			return &jobs[i];
	return NULL;
}

enum {
	MODEL,
	BACKEND,
	JOB,
	TARGETS,
	DROPOUT,
	TOKENS,
	LENGTH,
	RANK,
	SLOTS,
	PROMPT,
	NEW,
	STEPS,
	CAPTURE,
	DIRECT,
	INVARIANT,
	JSON,
	WORDS
};

static const struct option words[] = {
	{"model", 1, NULL, MODEL},
	{"backend", 1, NULL, BACKEND},
	{"job", 1, NULL, JOB},
	{"targets", 1, NULL, TARGETS},
	{"dropout", 1, NULL, DROPOUT},
	{"tokens", 1, NULL, TOKENS},
	{"length", 1, NULL, LENGTH},
	{"rank", 1, NULL, RANK},
	{"slots", 1, NULL, SLOTS},
	{"prompt", 1, NULL, PROMPT},
	{"new", 1, NULL, NEW},
	{"steps", 1, NULL, STEPS},
	{"capture", 0, NULL, CAPTURE},
	{"direct", 0, NULL, DIRECT},
	{"batch-invariant", 0, NULL, INVARIANT},
	{"json", 0, NULL, JSON},
	{0},
};

static void take(struct options *o, int word, const char *value)
{
	int64_t *number[WORDS] = {[TOKENS] = &o->tokens, [LENGTH] = &o->length, [RANK] = &o->rank,  [SLOTS] = &o->slots,
				  [PROMPT] = &o->prompt, [NEW] = &o->created,   [STEPS] = &o->steps};
	const char **text[WORDS] = {[BACKEND] = &o->backend, [JOB] = &o->job, [TARGETS] = &o->targets};
	bool *flag[WORDS] = {
		[CAPTURE] = &o->capture, [DIRECT] = &o->direct, [INVARIANT] = &o->invariant, [JSON] = &o->json};
	if (number[word])
		*number[word] = atoll(value);
	else if (text[word])
		*text[word] = value;
	else if (word == MODEL)
		o->model = model_find(value);
	else if (flag[word])
		*flag[word] = true;
	else
		o->dropout = atof(value);
}

static bool parse(struct options *o, int argc, char **argv)
{
	for (int word; (word = getopt_long(argc, argv, "", words, NULL)) != -1;) {
		if (word >= WORDS)
			return false;
		take(o, word, optarg);
	}
	return optind == argc;
}

static bool good(const struct options *o)
{
	return o->model && find_job(o->job) && (!strcmp(o->targets, "qv") || !strcmp(o->targets, "all")) &&
	       o->tokens > 0 && o->length > 0 && o->tokens % o->length == 0 && o->tokens < INT32_MAX && o->rank > 0 &&
	       o->slots > 0 && o->prompt > 0 && o->created > WARM + 10 && o->steps > 0 && o->dropout >= 0 &&
	       o->dropout < 1;
}

static int run(const struct options *o, struct err *err)
{
	struct stack s;
	int rc = stack_init(&s, o, err) ? -1 : find_job(o->job)->run(&s, err);
	stack_release(&s);
	return rc;
}

int main(int argc, char **argv)
{
	struct options o = {.backend = "cuda",
			    .job = "",
			    .targets = "all",
			    .tokens = 4096,
			    .length = 1024,
			    .rank = 16,
			    .slots = 512,
			    .prompt = 300,
			    .created = 200,
			    .steps = 5};
	struct err err = {0};
	if (!parse(&o, argc, argv) || !good(&o)) {
		fprintf(stderr, "gpu_bench: see the head of bench/gpu/gpu_bench.h for jobs and options\n");
		return ERR_USAGE;
	}
	if (strstr(o.job, "decode") && !o.direct)
		o.capture = true;
	if (!run(&o, &err))
		return 0;
	fprintf(stderr, "gpu_bench: %s\n", err.message);
	return err.code;
}
