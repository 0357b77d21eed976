// SPDX-License-Identifier: Apache-2.0
/* The training set of a stage: what all stages so far have bought, as a file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/grown.h"
#include "src/base/jsonfile.h"
#include "src/base/tree.h"
#include "src/pipeline/bought.h"
#include "src/pipeline/finetune.h"

/* ---- rows ------------------------------------------------------------------------------------------------ */

static int put_shown(struct json_writer *w, const struct run *run, const struct bought_row *row, struct err *err)
{
	if (!row->synthetic)
		return 0;
	json_put_key(w, "demonstrations");
	json_begin_array(w);
	for (size_t i = 0; i < row->n_shown; i++) {
		char *id = data_id(&run->data.pool.row[row->shown[i]].id, err);
		if (!id)
			return -1;
		json_put_raw(w, id);
		free(id);
	}
	json_end_array(w);
	return 0;
}

static void put_choices(struct json_writer *w, const struct bought_row *row)
{
	if (!row->n_choices)
		return;
	json_put_key(w, "choices");
	json_begin_array(w);
	for (size_t i = 0; i < row->n_choices; i++)
		json_put_string(w, row->choices[i], strlen(row->choices[i]));
	json_end_array(w);
}

static int put_row(struct json_writer *w, const struct run *run, int64_t k, const struct bought_row *row, struct err *err)
{
	char *prompt = bought_prompt(run, row, err);
	if (!prompt)
		return -1;
	json_begin_object(w);
	json_put_key(w, "id");
	json_put_raw(w, row->id);
	json_member_text(w, "domain", run->data.pool.domain[row->domain].name);
	json_member_int(w, "stage", k);
	json_member_text(w, "origin", row->synthetic ? "synthetic" : "pool");
	json_member_text(w, "input", row->input);
	put_choices(w, row);
	json_member_text(w, "label", row->label);
	json_put_key(w, "rationale");
	if (row->rationale)
		json_put_string(w, row->rationale, strlen(row->rationale));
	else
		json_put_null(w);
	json_member_text(w, "prompt", prompt);
	json_member_text(w, "completion", row->completion);
	int rc = put_shown(w, run, row, err);
	json_end_object(w);
	free(prompt);
	return rc;
}

static int write_row(struct file_writer *writer, const struct run *run, int64_t k, const struct bought_row *row,
		     struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	if (!put_row(&w, run, k, row, err))
		return json_save_row(&w, writer, err);
	json_writer_release(&w);
	return -1;
}

/* ---- counts ------------------------------------------------------------------------------------------------ */

enum { ANY_DOMAIN = -1 };

/* Drops of this one's cause, of one domain or any; 0 where one before it has the cause, so that each is told once. */
static int64_t count_cause(const struct bought *b, size_t i, int64_t domain)
{
	int64_t same = 0;
	for (size_t j = 0; j < b->drops; j++) {
		if ((domain != ANY_DOMAIN && (size_t)domain != b->drop[j].domain) || strcmp(b->drop[j].cause, b->drop[i].cause))
			continue;
		if (j < i)
			return 0;
		same++;
	}
	return same;
}

/* Drops of one domain by cause, in the order of their first. */
static void put_drops(struct json_writer *w, const struct bought *b, size_t domain)
{
	json_put_key(w, "dropped");
	json_begin_object(w);
	for (size_t i = 0; i < b->drops; i++) {
		int64_t same = b->drop[i].domain == domain ? count_cause(b, i, (int64_t)domain) : 0;
		if (same)
			json_member_int(w, b->drop[i].cause, same);
	}
	json_end_object(w);
}

static void put_domain(struct json_writer *w, const struct run *run, const struct bought *b, size_t domain)
{
	int64_t real = 0, synthetic = 0, repeated = 0;
	for (size_t i = 0; i < b->n; i++)
		if (b->row[i].domain == domain) {
			synthetic += b->row[i].synthetic;
			repeated += b->row[i].repeated;
			real += !b->row[i].synthetic && !b->row[i].repeated;
		}
	json_begin_object(w);
	json_member_text(w, "domain", run->data.pool.domain[domain].name);
	json_member_int(w, "real", real);
	json_member_int(w, "synthetic", synthetic);
	json_member_int(w, "repeated", repeated);
	put_drops(w, b, domain);
	json_end_object(w);
}

static int save_counts(const struct run *run, const struct bought *b, size_t rows, const char *path, struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	json_member_int(&w, "stage", b->stage);
	json_member_uint(&w, "rows", rows);
	json_put_key(&w, "domains");
	json_begin_array(&w);
	for (size_t d = 0; d < run->data.pool.l; d++)
		put_domain(&w, run, b, d);
	json_end_array(&w);
	json_end_object(&w);
	return json_save(&w, path, 0666, err);
}

/* The same of all domains, for who looks on. */
static int tell_drops(const struct run *run, const struct bought *b, size_t rows, struct err *err)
{
	struct grown causes = {0};
	for (size_t i = 0; i < b->drops; i++) {
		char count[32];
		int64_t same = count_cause(b, i, ANY_DOMAIN);
		if (!same)
			continue;
		snprintf(count, sizeof count, " %lld", (long long)same);
		grown_put(&causes, causes.n ? ", " : "; not used: ");
		grown_put(&causes, b->drop[i].cause);
		grown_put(&causes, count);
	}
	char *told = grown_take(&causes, err);
	if (told)
		voice_say(run->options->voice, "%zu rows to train on%s", rows, told);
	free(told);
	return told ? 0 : -1;
}

/* ---- all stages so far ----------------------------------------------------------------------------------------- */

static int write_stage(struct file_writer *writer, struct run *run, const struct bought *b, size_t *rows, struct err *err)
{
	for (size_t i = 0; i < b->n; i++)
		if (write_row(writer, run, b->stage, &b->row[i], err))
			return -1;
	*rows += b->n;
	return 0;
}

/* What the last one bought is left to the caller, for its counts. */
static int write_stages(struct file_writer *writer, struct run *run, int64_t k, struct bought *last, size_t *rows,
			struct err *err)
{
	struct rationales known = {0};
	int rc = 0;
	for (int64_t i = 0; !rc && i <= k; i++) {
		bought_release(last);
		rc = bought_load(last, run, i, &known, err) || write_stage(writer, run, last, rows, err) ? -1 : 0;
	}
	rationales_release(&known);
	return rc;
}

static int write_files(struct run *run, int64_t k, const char *train, const char *collected, struct err *err)
{
	struct file_writer writer;
	struct bought last = {0};
	size_t rows = 0;
	if (file_writer_open(&writer, train, 0666, err))
		return -1;
	int rc = write_stages(&writer, run, k, &last, &rows, err);
	if (rc)
		file_writer_abort(&writer);
	else
		rc = file_writer_commit(&writer, err) || save_counts(run, &last, rows, collected, err) ||
				     tell_drops(run, &last, rows, err)
			     ? -1 : 0;
	bought_release(&last);
	return rc;
}

int training_rows_write(struct run *run, int64_t k, const char *work, struct err *err)
{
	char *train = tree_join(work, "train.jsonl", err);
	char *collected = train ? tree_join(work, "collected.json", err) : NULL;
	int rc = collected ? write_files(run, k, train, collected, err) : -1;
	free(train);
	free(collected);
	return rc;
}
