// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target: files of examples. The first byte of an input says what the rest
 * is: rows of one task's type, a set of a collection, a file of Reuters' SGML,
 * or a prompt template. What is refused is refused as bad data, in printable
 * words that name the file; examples that are accepted are written out, read
 * again, and are the same.
 */
#define _GNU_SOURCE /* fuzz_check.h */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/text.h"
#include "src/dataset/collection.h"
#include "src/dataset/prompt.h"
#include "src/dataset/reuters.h"
#include "src/dataset/rows.h"
#include "tests/fuzz_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refused(const struct err *err)
{
	require((err->code == ERR_DATA || err->code == ERR_CONFIG) && *err->message, "a refusal is of the file", err);
	require_printable(err);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void place(char path[128], const char *name)
{
	snprintf(path, 128, "%s/%s", fuzz_folder, name);
}

static void put(const char *name, const void *bytes, size_t n)
{
	char path[128];

	place(path, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	require(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && !close(fd), "the input is written", &(struct err){0});
}

/* The Reuters files but the first, which is the input. */
static void begin(void)
{
	static const char document[] =
		"<REUTERS TOPICS=\"YES\" LEWISSPLIT=\"%s\" NEWID=\"%d\">\n"
		"<TOPICS><D>earn</D></TOPICS><TEXT><TITLE>A</TITLE><BODY>b</BODY></TEXT></REUTERS>\n";
	static const char *const folders[] = {"", "/reuters", "/set", "/set/train", "/prompts"};
	char path[128], text[256];

	fuzz_folder_make();
	for (size_t i = 1; i < sizeof folders / sizeof *folders; i++) {
		snprintf(path, sizeof path, "%s%s", fuzz_folder, folders[i]);
		require(!mkdir(path, 0700), "folders are made", &(struct err){0});
	}
	for (int i = 1; i < REUTERS_FILES; i++) {
		int n = snprintf(text, sizeof text, document, i % 2 ? "TRAIN" : "TEST", 90000 + i);
		snprintf(path, sizeof path, "reuters/reut2-%03d.sgm", i);
		put(path, text, (size_t)n);
	}
	for (int kind = 0; kind < PROMPT_KINDS; kind++) {
		const char *builtin = prompt_builtin(ANSWER_CLASS, (enum prompt_kind)kind);
		snprintf(path, sizeof path, "prompts/%s", prompt_file_names[kind]);
		put(path, builtin, strlen(builtin));
	}
}

/* ---- examples --------------------------------------------------------------------------------- */

static void check_same(const struct examples *a, const struct examples *b)
{
	struct err err = {0};

	require(a->n == b->n && a->l == b->l, "as many rows and domains", &err);
	for (size_t i = 0; i < a->n; i++) {
		const struct example *x = &a->row[i], *y = &b->row[i];
		require(!ifd_id_compare(&x->id, &y->id) && !strcmp(x->input, y->input) && !strcmp(x->label, y->label) &&
				x->n_choices == y->n_choices && x->domain == y->domain,
			"the same row", &err);
		for (size_t k = 0; k < x->n_choices; k++)
			require(!strcmp(x->choices[k], y->choices[k]), "the same choice", &err);
	}
	for (size_t d = 0; d < a->l; d++)
		require(!strcmp(a->domain[d].name, b->domain[d].name) && a->domain[d].n == b->domain[d].n,
			"the same domain", &err);
}

/* Where every row has an id of its own, as a file's rows must have. */
static void check_examples(struct examples *e, enum answer_type type)
{
	struct examples again;
	struct file_writer writer;
	struct err err = {0};
	char path[128];

	if (!e->n || examples_expect_ids(e, &err))
		return;
	for (size_t i = 0; i < e->n; i++)
		require(e->row[i].domain < e->l && *e->row[i].input, "a row has its domain and an input", &err);
	place(path, "again.jsonl");
	require(!file_writer_open(&writer, path, 0600, &err) && !examples_write(e, &writer, &err) &&
			!file_writer_commit(&writer, &err),
		"examples are written", &err);
	require(!examples_load(&again, path, type, NULL, &err), "what is written is read", &err);
	check_same(e, &again);
	examples_release(&again);
}

static void use_examples(struct examples *e)
{
	struct examples test;
	struct example_pair *pair = NULL;
	struct err err = {0};
	size_t n;

	require(!examples_count_duplicates(e, &n, &err) && n <= e->n, "duplicates are counted", &err);
	require(!examples_drop_duplicates(e, &n, &err), "duplicates are dropped", &err);
	if (examples_split(&test, e, 0.5, 1, &err)) {
		check_refused(&err);
		return;
	}
	require(!examples_near(&pair, &n, e, &test, &err), "copies are found", &err);
	free(pair);
	examples_release(&test);
}

static void fuzz_rows(enum answer_type type)
{
	struct examples e;
	struct err err = {0};
	char path[128];

	place(path, "rows.jsonl");
	if (examples_load(&e, path, type, NULL, &err)) {
		check_refused(&err);
		return;
	}
	check_examples(&e, type);
	use_examples(&e);
	examples_release(&e);
}

static void fuzz_collection(enum answer_type type)
{
	struct examples pool, test;
	struct err err = {0};
	char path[128];

	place(path, "set");
	if (collection_load(&pool, &test, type, path, NULL, &err))
		check_refused(&err);
	else
		check_examples(&pool, type);
	examples_release(&pool);
	examples_release(&test);
}

static void fuzz_reuters(enum reuters_set set)
{
	struct examples pool, test;
	struct err err = {0};
	char path[128];

	place(path, "reuters");
	if (reuters_load(&pool, &test, set, path, &err))
		check_refused(&err);
	else
		for (int i = 0; i < 2; i++)
			for (size_t k = 0; k < (i ? test.n : pool.n); k++) {
				const char *text = (i ? test.row : pool.row)[k].input;
				require(text_utf8_valid(text, strlen(text)) == strlen(text), "a text is UTF-8", &err);
			}
	examples_release(&pool);
	examples_release(&test);
}

static void fuzz_prompt(enum prompt_kind kind)
{
	const struct prompt_values values = {.slot = {"i{label}", "l", "d", "d, e", "{input}", "A. c"}};
	struct prompts prompts;
	struct err err = {0};
	char path[128];

	place(path, "prompts");
	if (prompts_load(&prompts, ANSWER_CLASS, path, &err)) {
		check_refused(&err);
		return;
	}
	char *text = prompt_render(&prompts, kind, &values, &err);
	require(text != NULL, "a template is rendered", &err);
	free(text);
	prompts_release(&prompts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[64];

	if (!*fuzz_folder)
		begin();
	if (!size)
		return 0;
	int what = data[0] % (ANSWER_TYPES + 4 + PROMPT_KINDS), kind = what - ANSWER_TYPES - 4;
	snprintf(name, sizeof name, "%s",
		 what < ANSWER_TYPES       ? "rows.jsonl"
		 : what < ANSWER_TYPES + 2 ? "set/train/one.jsonl"
					   : "reuters/reut2-000.sgm");
	if (kind >= 0)
		snprintf(name, sizeof name, "prompts/%s", prompt_file_names[kind]);
	put(name, data + 1, size - 1);
	if (what < ANSWER_TYPES)
		fuzz_rows((enum answer_type)what);
	else if (what < ANSWER_TYPES + 2)
		fuzz_collection(what == ANSWER_TYPES ? ANSWER_CHOICE : ANSWER_QA);
	else if (kind < 0)
		fuzz_reuters(what % 2 ? REUTERS_R52 : REUTERS_R90);
	else
		fuzz_prompt((enum prompt_kind)kind);
	if (kind >= 0) {
		const char *builtin = prompt_builtin(ANSWER_CLASS, (enum prompt_kind)kind);
		put(name, builtin, strlen(builtin));
	}
	return 0;
}
