// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/score_rows.h"

#include <stdlib.h>

#include "src/base/mem.h"
#include "src/student/score.h"

/* Ids of all rows in one array, and the rows that point into it. */
struct score_input {
	int32_t *ids;
	size_t n, room;
	size_t *prompt, *target; /* [rows + 1]: where each row's prompt and target begin; target of the last ends all */
	struct score_row *rows;
};

static void release_input(struct score_input *in)
{
	free(in->ids);
	free(in->prompt);
	free(in->target);
	free(in->rows);
}

static int append(struct score_input *in, const struct token_list *list, struct err *err)
{
	if (mem_grow(&in->ids, &in->room, in->n + list->n, sizeof *in->ids, err))
		return -1;
	for (size_t i = 0; i < list->n; i++)
		in->ids[in->n++] = list->ids[i];
	return 0;
}

static int encode_row(struct job *job, size_t i, struct example_ids *example, struct score_input *in, struct err *err)
{
	struct job_text text;
	if (job_text(&job->rows, i, true, &text, err))
		return -1;
	int rc = example_encode(job->student, &text.text, example, err);
	job_text_release(&text);
	if (rc)
		return row_refuse(&job->rows, i, err);
	in->prompt[i] = in->n;
	if (append(in, &example->prompt, err))
		return -1;
	in->target[i] = in->n;
	return append(in, &example->target, err) ? -1 : job_check_length(job, i, in->n - in->prompt[i], err);
}

static int encode_rows(struct job *job, struct score_input *in, struct err *err)
{
	size_t n = job->rows.n;
	struct example_ids example = {0};
	in->prompt = mem_array(n + 1, sizeof *in->prompt, err);
	in->target = mem_array(n + 1, sizeof *in->target, err);
	in->rows = mem_array(n, sizeof *in->rows, err);
	int rc = in->prompt && in->target && in->rows ? 0 : -1;
	for (size_t i = 0; !rc && i < n; i++)
		rc = encode_row(job, i, &example, in, err);
	example_release(&example);
	if (rc)
		return -1;
	in->prompt[n] = in->n;
	for (size_t i = 0; i < n; i++)
		in->rows[i] = (struct score_row){in->ids + in->prompt[i], (int64_t)(in->target[i] - in->prompt[i]),
						 in->ids + in->target[i], (int64_t)(in->prompt[i + 1] - in->target[i]), NULL};
	return 0;
}

static int write_row(struct job *job, size_t i, const struct score_row *row, const struct ifd_score *s, struct err *err)
{
	static const char *const own[] = {"prompt_tokens", "completion_tokens", "counted_tokens", "nll_conditional",
					  "nll_unconditional", "ppl_conditional", "ppl_unconditional", "ifd", NULL};
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	row_put_id(&w, &job->rows.row[i].id);
	row_put_others(&w, &job->rows.row[i], own, err);
	json_put_key(&w, own[0]);
	json_put_int(&w, row->prompt_n);
	json_put_key(&w, own[1]);
	json_put_int(&w, row->target_n);
	json_put_key(&w, own[2]);
	json_put_uint(&w, s->counted_tokens);
	const double values[] = {s->nll_conditional, s->nll_unconditional, s->ppl_conditional, s->ppl_unconditional, s->ifd};
	for (size_t v = 0; v < 5; v++)
		json_member_known(&w, own[3 + v], values[v], s->has_value);
	json_end_object(&w);
	int rc = job_write(job, &w, err);
	json_writer_release(&w);
	return rc;
}

static int score(struct job *job, struct err *err)
{
	struct score_input in = {0};
	struct score_options options = {.bos = job->student->bos, .memory = job->memory};
	struct progress progress;
	struct ifd_score *scores = mem_array(job->rows.n, sizeof *scores, err);
	int rc = !scores || encode_rows(job, &in, err) ? -1 : 0;
	if (!rc) {
		progress_begin(&progress, job->voice.progress, "score", "passes", 2 * job->rows.n, 0);
		rc = student_score(job->student->model, in.rows, job->rows.n, &options, scores, &progress, err);
		progress_finish(&progress);
	}
	for (size_t i = 0; !rc && i < job->rows.n; i++)
		rc = write_row(job, i, &in.rows[i], &scores[i], err);
	release_input(&in);
	free(scores);
	return rc;
}

int score_rows(struct job *job, struct err *err)
{
	return job_begin(job, false, err) || score(job, err) ? -1 : 0;
}
