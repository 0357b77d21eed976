// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/completions_parts.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/hash.h"
#include "src/base/jsonfile.h"
#include "src/base/part.h"
#include "src/base/tree.h"
#include "src/student/generate.h"

/* ---- the student ------------------------------------------------------------------------------------ */

struct student *completions_student(const struct plan *plan, const char *trained, struct err *err)
{
	bool full = plan->training.kind.full;
	const struct student_options options = {
		.directory = trained && full ? trained : plan->student.model_name_or_path,
		.backend = plan->student.backend, .chat_template = plan->student.chat_template,
		.dtype = plan->student.dtype, .memory = plan->student.memory, .adapter = full ? NULL : trained,
	};
	return student_open(&options, err);
}

int completions_encode(struct student *student, const char *prompt, const char *completion, struct example_ids *out,
		       struct err *err)
{
	struct chat_message messages[2] = {{"user", prompt, strlen(prompt)}, {"assistant", completion, 0}};
	struct example_text text = {.prompt = prompt, .prompt_n = strlen(prompt), .completion = completion};
	if (completion)
		text.completion_n = messages[1].n = strlen(completion);
	if (student->chat.family != CHAT_NONE) {
		text.messages = messages;
		text.messages_n = completion ? 2 : 1;
	}
	return example_encode(student, &text, out, err);
}

/* ---- prompts to ids ------------------------------------------------------------------------------------ */

struct queue {
	const struct completions_job *job;
	struct generate_row *row; /* [n]: those short enough, in order */
	size_t *of;               /* [n]: which prompt each is of */
	int32_t **ids;            /* [n] */
	size_t n;
};

static void release_queue(struct queue *q)
{
	for (size_t i = 0; q->ids && i < q->n; i++)
		free(q->ids[i]);
	free(q->ids);
	free(q->of);
	free(q->row);
}

static int add_prompt(struct queue *q, size_t i, struct example_ids *ids, struct completions *done, struct err *err)
{
	if (completions_encode(q->job->student, q->job->prompt[i], NULL, ids, err))
		return -1;
	if ((int64_t)ids->prompt.n >= q->job->student->model->positions) {
		done->too_long++;
		return 0;
	}
	q->ids[q->n] = mem_dup(ids->prompt.ids, ids->prompt.n * sizeof *ids->prompt.ids, err);
	if (!q->ids[q->n])
		return -1;
	q->row[q->n] = (struct generate_row){.prompt = q->ids[q->n], .prompt_n = (int64_t)ids->prompt.n, .id = i};
	q->of[q->n++] = i;
	return 0;
}

static int make_queue(struct queue *q, struct completions *done, struct err *err)
{
	struct example_ids ids = {0};
	size_t n = q->job->n;
	q->row = mem_array(n, sizeof *q->row, err);
	q->of = mem_array(n, sizeof *q->of, err);
	q->ids = mem_array(n, sizeof *q->ids, err);
	int rc = q->row && q->of && q->ids ? 0 : -1;
	for (size_t i = 0; !rc && i < n; i++)
		rc = add_prompt(q, i, &ids, done, err);
	example_release(&ids);
	return rc;
}

/* ---- blocks --------------------------------------------------------------------------------------------- */

/* {"of", "stop", "ids", "logp"}: all that a later step needs, numbers exact. */
static void put_row(struct json_writer *w, size_t of, const struct generated *out)
{
	json_begin_object(w);
	json_member_uint(w, "of", of);
	json_member_bool(w, "stop", out->stopped);
	json_put_key(w, "ids");
	json_begin_array(w);
	for (int64_t i = 0; i < out->n; i++)
		json_put_int(w, out->ids[i]);
	json_end_array(w);
	json_put_key(w, "logp");
	json_begin_array(w);
	for (int64_t i = 0; i < out->n; i++)
		json_put_double(w, (double)out->logp[i]);
	json_end_array(w);
	json_end_object(w);
}

static int make_block(const struct queue *q, const struct generate_options *options, size_t first, size_t n,
		      struct json_rows *block, struct progress *progress, struct err *err)
{
	struct generated *out = mem_array(n, sizeof *out, err);
	if (!out)
		return -1;
	int rc = student_generate(q->job->student->model, q->row + first, n, options, out, progress, err);
	for (size_t i = 0; !rc && i < n; i++) {
		struct json_writer w;
		json_writer_init(&w, 0);
		put_row(&w, q->of[first + i], &out[i]);
		rc = json_rows_add(block, &w, err);
	}
	for (size_t i = 0; i < n; i++)
		generated_release(&out[i]);
	free(out);
	return rc;
}

/* Blocks that are not there yet, one after the other into `part`, or where it is NULL all of them into `rows`. */
static int make_blocks(const struct queue *q, struct part *part, struct json_rows *rows, struct err *err)
{
	const struct generate_options options = {.slots = q->job->plan->student.slots, .seed = q->job->plan->seed,
						 .max_new_tokens = q->job->max_new_tokens,
						 .memory = q->job->plan->student.memory};
	size_t most = (size_t)generate_block(q->job->student->model, &options), first = part ? part->blocks * most : 0;
	struct progress progress;
	int rc = 0;
	first = first < q->n ? first : q->n;
	progress_begin(&progress, voice_progress(q->job->voice), q->job->label, "rows", q->n, first);
	for (size_t n; !rc && first < q->n; first += n) {
		n = q->n - first < most ? q->n - first : most;
		rows->n = part ? 0 : rows->n;
		rc = make_block(q, &options, first, n, rows, &progress, err) || (part && part_add(part, rows->text, rows->n, err))
			     ? -1 : 0;
	}
	progress_finish(&progress);
	return rc;
}

/* ---- all of it -------------------------------------------------------------------------------------------- */

/* What decides the bytes, beside the student, which a part directory is bound to. */
static int name_work(char hex[HASH_HEX_ROOM], const struct completions_job *job, struct err *err)
{
	unsigned char digest[HASH_SIZE];
	struct hash hash;
	const int64_t numbers[] = {(int64_t)job->n, job->max_new_tokens, job->plan->student.slots};
	if (hash_init(&hash, err))
		return -1;
	int rc = hash_update(&hash, numbers, sizeof numbers, err);
	for (size_t i = 0; !rc && i < job->n; i++)
		rc = hash_update(&hash, job->prompt[i], strlen(job->prompt[i]) + 1, err);
	if (!rc)
		rc = hash_final(digest, &hash, err);
	hash_release(&hash);
	if (!rc)
		hash_hex(hex, digest);
	return rc;
}

static int make_file(struct queue *q, struct err *err)
{
	char name[HASH_HEX_ROOM];
	struct json_rows block = {0};
	struct part part;
	if (name_work(name, q->job, err) || part_open(&part, q->job->path, name, err))
		return -1;
	int rc = make_blocks(q, &part, &block, err) || part_finish(&part, err) ? -1 : 0;
	part_close(&part);
	free(block.text);
	return rc;
}

static int make_and_read(struct completions *done, struct queue *q, struct err *err)
{
	struct json_rows rows = {0};
	enum tree_kind kind;
	int rc;
	if (q->job->path)
		rc = tree_look(q->job->path, &kind, err) || (kind == TREE_NOTHING && make_file(q, err)) ||
				     completions_read(done, q->job, err) ? -1 : 0;
	else
		rc = make_blocks(q, NULL, &rows, err) || completions_parse(done, q->job, rows.text, rows.n, err) ? -1 : 0;
	free(rows.text);
	return rc;
}

int completions_make(struct completions *done, const struct completions_job *job, struct err *err)
{
	struct queue q = {.job = job};
	*done = (struct completions){.n = job->n};
	done->row = mem_array(job->n, sizeof *done->row, err);
	int rc = !done->row || make_queue(&q, done, err) || make_and_read(done, &q, err) ? -1 : 0;
	release_queue(&q);
	if (rc)
		completions_release(done);
	return rc;
}

void completions_tell(const struct completions *done, const struct completions_job *job)
{
	size_t cut = 0;
	for (size_t i = 0; i < done->n; i++)
		cut += done->row[i].tokens && !done->row[i].stopped;
	if (done->too_long)
		voice_say(job->voice, "%zu of %zu prompts are too long for the student: no answer, counted as wrong", done->too_long,
			  done->n);
	if (cut)
		voice_say(job->voice, "%zu of %zu answers were cut off at %lld tokens (max_new_tokens), and count as wrong where that "
			  "leaves no answer", cut, done->n, (long long)job->max_new_tokens);
}

void completions_release(struct completions *done)
{
	for (size_t i = 0; done->row && i < done->n; i++) {
		free(done->row[i].text);
		free(done->row[i].ids);
		free(done->row[i].logp);
	}
	free(done->row);
	*done = (struct completions){0};
}
