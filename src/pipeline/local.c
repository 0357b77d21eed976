// SPDX-License-Identifier: Apache-2.0
/*
 * A checkpoint as a teacher: questions wait in a queue, and a poll answers up
 * to `slots` of them that want the same settings by one call of the engine.
 * Batch-invariant, so that an answer does not depend on who waited beside it.
 */
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/pipeline/local_question.h"
#include "src/pipeline/source.h"
#include "src/teacher/retry.h"

enum { DEFAULT_MAX_TOKENS = 512 };

struct local {
	struct teacher_source source;
	struct student *student;
	uint64_t seed, memory;
	size_t slots;
	struct local_question *queue; /* [n], in the order asked */
	size_t n, room;
};

static int local_ask(struct teacher_source *source, const struct teacher_question *question, struct err *err)
{
	struct local *l = (struct local *)source;
	if (mem_grow(&l->queue, &l->room, l->n + 1, sizeof *l->queue, err) ||
	    local_question_read(&l->queue[l->n], l->student, question, err))
		return -1;
	l->n++;
	return 0;
}

/* ---- one batch ------------------------------------------------------------------------ */

static bool same_settings(const struct local_question *a, const struct local_question *b)
{
	return a->temperature == b->temperature && a->top_p == b->top_p && a->max_tokens == b->max_tokens;
}

static bool fits(const struct local *l, const struct local_question *q)
{
	return (int64_t)q->example.prompt.n >= 1 && (int64_t)q->example.prompt.n < l->student->model->positions;
}

/* Move the first questions with the settings of the very first into batch[0..slots); the rest closes up. */
static size_t take_batch(struct local *l, struct local_question *batch)
{
	const struct local_question first = l->queue[0];
	size_t taken = 0, kept = 0;
	for (size_t i = 0; i < l->n; i++) {
		const struct local_question *q = &l->queue[i];
		bool take = taken < l->slots && same_settings(&first, q) && fits(l, &first) == fits(l, q);
		*(take ? &batch[taken++] : &l->queue[kept++]) = l->queue[i];
	}
	l->n = kept;
	return taken;
}

static int generate(struct local *l, const struct local_question *batch, size_t n, struct generated *out,
		    struct err *err)
{
	int64_t most = batch->max_tokens > 0 ? batch->max_tokens : DEFAULT_MAX_TOKENS;
	struct generate_options options = {.slots = (int64_t)l->slots, .max_new_tokens = most,
					   .rule = {(float)batch->temperature, 0, (float)batch->top_p},
					   .seed = l->seed, .memory = l->memory};
	struct generate_row *rows = mem_array(n, sizeof *rows, err);
	if (!rows)
		return -1;
	for (size_t i = 0; i < n; i++)
		rows[i] = (struct generate_row){.prompt = batch[i].example.prompt.ids, .id = batch[i].id,
						.prompt_n = (int64_t)batch[i].example.prompt.n};
	int rc = student_generate(l->student->model, rows, n, &options, out, NULL, err);
	free(rows);
	return rc;
}

/* ---- replies ------------------------------------------------------------------------------ */

static int judge(struct teacher_reply *reply, const char *raw, size_t n, struct err *err)
{
	struct teacher_exchange whole = {.transport = TEACHER_REPLIED, .status = 200};
	struct teacher_facts facts = {.answer = &reply->answer};
	if (teacher_answer_read(&reply->answer, raw, n, NULL, NULL, err))
		return -1;
	reply->raw = raw;
	reply->raw_n = n;
	teacher_outcome_decide(&reply->outcome, &whole, &facts);
	return 0;
}

static int reply_with(struct local *l, const struct local_question *q, const struct generated *out,
		      teacher_callback *done, void *context, struct err *err)
{
	struct teacher_reply reply = {.tag = q->tag, .slot = q->slot};
	struct json_writer w;
	size_t n;
	char *text = tokenizer_decode(l->student->tokenizer, out->ids, (size_t)(out->n - out->stopped), true, &n, err);
	if (!text)
		return -1;
	json_writer_init(&w, 0);
	local_answer_put(&w, text, n, q, out);
	const char *raw = json_writer_text(&w, &n, err);
	int rc = raw ? judge(&reply, raw, n, err) : -1;
	if (!rc) {
		done(context, &reply);
		teacher_answer_release(&reply.answer);
	}
	json_writer_release(&w);
	free(text);
	return rc;
}

static void refuse(const struct local_question *q, teacher_callback *done, void *context)
{
	struct teacher_reply reply = {.tag = q->tag, .slot = q->slot,
				      .outcome = {.state = TEACHER_REJECTED, .code = ERR_DATA, .wait = TEACHER_NO_WAIT,
						  .reason = "prompt too long"}};
	done(context, &reply);
}

static int answer_batch(struct local *l, const struct local_question *batch, size_t n, teacher_callback *done,
			void *context, struct err *err)
{
	struct generated *out = fits(l, batch) ? mem_array(n, sizeof *out, err) : NULL;
	int rc = 0;
	if (!fits(l, batch))
		for (size_t i = 0; i < n; i++)
			refuse(&batch[i], done, context);
	else
		rc = out ? generate(l, batch, n, out, err) : -1;
	for (size_t i = 0; out && !rc && i < n; i++)
		rc = reply_with(l, &batch[i], &out[i], done, context, err);
	for (size_t i = 0; out && i < n; i++)
		generated_release(&out[i]);
	free(out);
	return rc;
}

static int local_poll(struct teacher_source *source, double seconds, teacher_callback *done, void *context,
		      struct err *err)
{
	struct local *l = (struct local *)source;
	(void)seconds;
	if (!l->n)
		return 0;
	struct local_question *batch = mem_array(l->slots, sizeof *batch, err);
	if (!batch)
		return -1;
	size_t n = take_batch(l, batch);
	int rc = answer_batch(l, batch, n, done, context, err);
	for (size_t i = 0; i < n; i++)
		local_question_release(&batch[i]);
	free(batch);
	return rc ? -1 : (int)n;
}

static int local_read(struct teacher_source *source, struct teacher_answer *answer, const char *raw, size_t n,
		      struct err *err)
{
	(void)source;
	return teacher_answer_read(answer, raw, n, NULL, NULL, err);
}

static void local_close(struct teacher_source *source)
{
	struct local *l = (struct local *)source;
	for (size_t i = 0; i < l->n; i++)
		local_question_release(&l->queue[i]);
	student_close(l->student);
	free(l->queue);
	free(l);
}

struct teacher_source *source_local_open(const struct plan *plan, const struct voice *voice, struct err *err)
{
	const struct student_options options = {.directory = plan->teacher.model_name_or_path,
						.backend = plan->student.backend, .chat_template = plan->teacher.chat_template,
						.dtype = plan->student.dtype, .memory = plan->student.memory,
						.batch_invariant = true};
	if (!options.directory) {
		err_set(err, ERR_CONFIG, "teacher.model_name_or_path is missing; name a model directory");
		return NULL;
	}
	struct local *l = mem_array(1, sizeof *l, err);
	if (!l)
		return NULL;
	l->source = (struct teacher_source){"local", false, local_ask, local_poll, local_read, local_close};
	l->seed = plan->seed;
	l->memory = plan->student.memory;
	l->slots = plan->student.slots > 0 ? (size_t)plan->student.slots : 64;
	voice_say(voice, "opening the teacher '%s'", options.directory);
	l->student = student_open(&options, err);
	if (l->student)
		return &l->source;
	err_prefix(err, "the teacher");
	local_close(&l->source);
	return NULL;
}
