// SPDX-License-Identifier: Apache-2.0
/*
 * A few rows answered and learned, to know what the whole will take. Times are
 * scaled by tokens; a busy machine makes them worse than they will be.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/pipeline/bought.h"
#include "src/pipeline/completions.h"
#include "src/pipeline/forecast.h"
#include "src/pipeline/rehearsal.h"
#include "src/student/generate.h"
#include "src/student/train_set.h"

enum { SAMPLE = 100, ROWS = 4, TOKENS = 8, LEARNED = 2048 /* tokens */ };

struct probe {
	struct forecast *forecast;
	const struct plan *plan;
	struct student *student;
	size_t row[SAMPLE], n;      /* of the pool, evenly spread */
	double prompt, annotation, synthesis; /* mean tokens */
	double longest;                       /* prompt */
	size_t too_long;                      /* prompts that leave no room to learn an answer */
	uint64_t answering;                   /* bytes, with the cache of all slots */
	double answer_row, answer_token, learn_token; /* seconds: of a prompt, of a token said, of a token learned */
};

/* ---- tokens ------------------------------------------------------------------------------------------------ */

/* Of a text that is released here; a teacher may count more than the student, a third of the bytes at the most. */
static int add_tokens(struct probe *p, double *sum, char *text, bool teacher, struct err *err)
{
	struct example_ids ids = {0};
	int rc = text ? completions_encode(p->student, text, NULL, &ids, err) : -1;
	*sum += fmax((double)ids.prompt.n, teacher && text ? (double)strlen(text) / 3 : 0);
	example_release(&ids);
	free(text);
	return rc;
}

/*
 * A synthesis shows three examples; here the sampled row stands for each of them, without a rationale, which price()
 * counts as long as it may be.
 */
static char *synthesis_prompt(const struct data *data, const struct example *row, const char *domain, struct err *err)
{
	const struct prompt_demonstration one = {row->input, row->label, "", NULL}, three[] = {one, one, one};
	const struct example of_domain = {.label = domain};
	char *shown = prompt_demonstrations(three, 3, err);
	char *text = shown ? data_prompt(data, PROMPT_SYNTHESISE, &of_domain, domain, shown, err) : NULL;
	free(shown);
	return text;
}

/* Of a row to learn. */
static int64_t most_tokens(const struct probe *p)
{
	int64_t asked = p->plan->training.max_length;
	return p->student->model && p->student->model->positions < asked ? p->student->model->positions : asked;
}

static int count_tokens(struct probe *p, struct err *err)
{
	const struct data *data = &p->forecast->data;
	enum prompt_kind annotate = data_gold_shown(data) ? PROMPT_ANNOTATE_GOLD : PROMPT_ANNOTATE;
	for (size_t i = 0; i < p->n; i++) {
		const struct example *row = &data->pool.row[p->row[i]];
		const char *domain = data->pool.domain[row->domain].name;
		double before = p->prompt;
		if (add_tokens(p, &p->prompt, data_prompt(data, PROMPT_STUDENT, row, domain, NULL, err), false, err) ||
		    add_tokens(p, &p->annotation, data_prompt(data, annotate, row, domain, NULL, err), true, err) ||
		    add_tokens(p, &p->synthesis, synthesis_prompt(data, row, domain, err), true, err))
			return -1;
		p->longest = fmax(p->longest, p->prompt - before);
		p->too_long += p->prompt - before >= (double)most_tokens(p);
	}
	p->prompt /= (double)p->n;
	p->annotation /= (double)p->n;
	p->synthesis /= (double)p->n;
	return 0;
}

static void price(struct probe *p)
{
	struct forecast *f = p->forecast;
	const struct plan_teacher *t = &p->plan->teacher;
	f->has_tokens = true;
	double shown = BOUGHT_DEMONSTRATIONS * (double)t->max_tokens;
	f->tokens_in = (double)f->annotate * p->annotation + (double)f->synthesise * (p->synthesis + shown);
	f->tokens_out = (double)(f->annotate + f->synthesise) * (double)t->max_tokens;
	if (t->price_input >= 0 && t->price_output >= 0)
		f->cost = (f->tokens_in * t->price_input + f->tokens_out * t->price_output) / 1e6;
}

/* ---- time ------------------------------------------------------------------------------------------------------ */

static int answer(double *seconds, struct probe *p, const struct generate_row *rows, size_t n, int64_t tokens,
		  struct err *err)
{
	const struct generate_options options = {.slots = ROWS, .max_new_tokens = tokens, .memory = p->plan->student.memory};
	struct generated out[ROWS] = {0};
	double began = clock_seconds();
	if (student_generate(p->student->model, rows, n, &options, out, NULL, err))
		return -1;
	*seconds = clock_seconds() - began;
	for (size_t i = 0; i < n; i++)
		generated_release(&out[i]);
	return 0;
}

static int encode(struct probe *p, size_t i, const char *completion, struct example_ids *ids, struct err *err)
{
	const struct example *row = &p->forecast->data.pool.row[p->row[i]];
	char *text = data_prompt(&p->forecast->data, PROMPT_STUDENT, row, p->forecast->data.pool.domain[row->domain].name, NULL, err);
	int rc = text ? completions_encode(p->student, text, completion, ids, err) : -1;
	free(text);
	return rc;
}

/* The most this process has held so far, weights and training included. */
static uint64_t resident(void)
{
	struct rusage usage;
	return getrusage(RUSAGE_SELF, &usage) ? 0 : (uint64_t)usage.ru_maxrss * 1024;
}

/*
 * What the student holds, and keys and values of all slots, of which the few rows took little; slots fall until the
 * plan's bound holds.
 */
static uint64_t with_cache(const struct probe *p, uint64_t held)
{
	const struct plan *plan = p->plan;
	const struct model *m = p->student->model;
	int64_t said = plan->selection.max_new_tokens, judged = plan->evaluation.max_new_tokens, slots = plan->student.slots;
	int64_t rows = p->forecast->candidates > p->forecast->evaluated ? p->forecast->candidates : p->forecast->evaluated;
	if (m->dev->remote)
		return held;
	uint64_t token = 2 * (uint64_t)(m->config.num_hidden_layers * m->config.num_key_value_heads * m->config.head_dim) *
			 dtype_size(m->dev->cache_dtype);
	double tokens = fmin(p->longest + (double)(said > judged ? said : judged), (double)m->positions);
	uint64_t most = held + (uint64_t)(tokens * (double)(slots < rows ? slots : rows)) * token;
	if (!plan->student.memory || most <= plan->student.memory)
		return most;
	return held > plan->student.memory ? held : plan->student.memory;
}

static int time_answers(struct probe *p, struct err *err)
{
	struct example_ids ids[ROWS] = {0};
	struct generate_row rows[ROWS];
	double one = 0, more = 0;
	size_t n = 0;
	int rc = 0;
	for (size_t i = 0; !rc && i < p->n && n < ROWS; i++) {
		rc = encode(p, i, NULL, &ids[n], err);
		if (!rc && (int64_t)ids[n].prompt.n + 1 + TOKENS <= p->student->model->positions) {
			rows[n] = (struct generate_row){ids[n].prompt.ids, (int64_t)ids[n].prompt.n, i};
			n++;
		}
	}
	if (!rc && !n)
		return err_set(err, ERR_DATA, "not one prompt fits into the student's %lld positions",
			       (long long)p->student->model->positions);
	if (!rc)
		rc = answer(&one, p, rows, n, 1, err) || answer(&one, p, rows, n, 1, err) ||
				     answer(&more, p, rows, n, 1 + TOKENS, err)
			     ? -1 : 0;
	p->answer_row = one / (double)n;
	p->answering = with_cache(p, resident());
	p->answer_token = more > one ? (more - one) / (double)(n * TOKENS) : 0;
	for (size_t i = 0; i < ROWS; i++)
		example_release(&ids[i]);
	return rc;
}

static int learn(struct probe *p, const struct train_set *set, struct err *err)
{
	struct train_config config = p->plan->training;
	config.options.per_device_train_batch_size = (int64_t)set->n; /* one step */
	const struct train_files files = {0}; /* no checkpoint: it would need room, and be timed */
	struct train_result result;
	struct trainee trainee = {0};
	config.options.num_train_epochs = 1;
	int rc = trainee_open(&trainee, p->student->model, &config.kind, err);
	double began = clock_seconds();
	if (!rc)
		rc = student_train(&trainee, set->rows, set->n, &config.options, &files, &result, err);
	p->learn_token = (clock_seconds() - began) / (double)set->tokens;
	p->forecast->memory = resident();
	p->forecast->memory = p->forecast->memory > p->answering ? p->forecast->memory : p->answering;
	trainee_close(&trainee);
	return rc;
}

static int time_learning(struct probe *p, struct err *err)
{
	struct train_set set = {.max_length = most_tokens(p), .completion_only = false};
	struct example_ids ids = {0};
	int rc = 0;
	for (size_t i = 0; !rc && i < p->n && set.tokens < LEARNED; i++) {
		const struct train_row_info info = {.key = (uint32_t)i, .line = i + 1};
		rc = encode(p, i, "The answer is here.", &ids, err);
		if (!rc && (int64_t)ids.prompt.n < set.max_length)
			rc = train_set_add(&set, &ids, &info, err);
	}
	if (!rc && !set.n)
		rc = err_set(err, ERR_DATA, "not one prompt is shorter than the %lld tokens of max_length", (long long)set.max_length);
	train_set_finish(&set);
	if (!rc)
		rc = learn(p, &set, err);
	example_release(&ids);
	train_set_release(&set);
	return rc;
}

static void add_up(struct probe *p)
{
	struct forecast *f = p->forecast;
	const struct plan *plan = p->plan;
	double said = (double)plan->selection.max_new_tokens * p->answer_token + p->answer_row;
	double judged = (double)plan->evaluation.max_new_tokens * p->answer_token + p->answer_row;
	/* A row to learn is its prompt and an answer of the length asked for. */
	double learned = (double)f->trained * (p->prompt + (double)plan->selection.max_new_tokens / 2);
	f->seconds = (double)f->candidates * said * 1.25 + (double)f->evaluated * judged +
		     learned * (double)plan->training.options.num_train_epochs * p->learn_token;
	f->has_probe = true;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static int probe_all(struct probe *p, struct err *err)
{
	if (count_tokens(p, err))
		return -1;
	price(p);
	if (time_answers(p, err) || time_learning(p, err))
		return -1;
	add_up(p);
	return 0;
}

int forecast_probe(struct forecast *f, const struct plan *plan, const struct voice *voice, struct err *err)
{
	struct probe p = {.forecast = f, .plan = plan};
	size_t n = f->data.pool.n;
	if (access(plan->student.model_name_or_path, F_OK)) {
		voice_say(voice, "%s is not there: no tokens, memory and time", plan->student.model_name_or_path);
		return 0;
	}
	voice_say(voice, "asking the student a few rows to know what all will take");
	for (; p.n < SAMPLE && p.n < n; p.n++)
		p.row[p.n] = n <= SAMPLE ? p.n : p.n * n / SAMPLE;
	p.student = completions_student(plan, NULL, err);
	int rc = p.student ? probe_all(&p, err) : -1;
	rehearsal_tell(voice, p.too_long, p.n, plan->training.max_length,
		       p.student ? p.student->model->positions : INT64_MAX);
	if (p.student && f->trained)
		rehearsal_tell_rate(voice, plan, &p.student->model->config);
	student_close(p.student);
	return rc;
}
