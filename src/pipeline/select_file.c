// SPDX-License-Identifier: Apache-2.0
/* What a selection leaves behind, and how it is read again. */
#include "src/pipeline/select_parts.h"

#include <stdlib.h>

#include "src/base/jsonfile.h"
#include "src/base/tree.h"
#include "src/dataset/rows.h"
#include "src/pipeline/draw.h"

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void put_score(struct json_writer *w, const struct ifd_score *s)
{
	json_member_uint(w, "counted_tokens", s->counted_tokens);
	json_member_known(w, "nll_conditional", s->nll_conditional, s->has_value);
	json_member_known(w, "nll_unconditional", s->nll_unconditional, s->has_value);
	json_member_known(w, "ppl_conditional", s->ppl_conditional, s->has_value);
	json_member_known(w, "ppl_unconditional", s->ppl_unconditional, s->has_value);
	json_member_known(w, "ifd", s->ifd, s->has_value);
}

static int write_score(struct file_writer *writer, const struct selection *s, size_t i, struct err *err)
{
	const struct example *row = &s->run->data.pool.row[i];
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	row_put_id(&w, &row->id);
	json_member_text(&w, "domain", s->run->data.pool.domain[row->domain].name);
	json_member_bool(&w, "selected", s->chosen[i]);
	if (s->scored[i])
		put_score(&w, &s->score[i]);
	json_end_object(&w);
	return json_save_row(&w, writer, err);
}

static int save_scores(const struct selection *s, const char *path, struct err *err)
{
	size_t *list = mem_array(s->run->data.pool.n, sizeof *list, err), n = 0;
	struct file_writer writer;
	for (size_t i = 0; list && i < s->run->data.pool.n; i++)
		if (s->scored[i] || s->chosen[i])
			list[n++] = i;
	if (list)
		draw_query_order(list, n, &s->run->data.pool);
	int rc = !list || file_writer_open(&writer, path, 0666, err) ? -1 : 0;
	if (rc) {
		free(list);
		return -1;
	}
	for (size_t i = 0; !rc && i < n; i++)
		rc = write_score(&writer, s, list[i], err);
	free(list);
	if (rc) {
		file_writer_abort(&writer);
		return -1;
	}
	return file_writer_commit(&writer, err);
}

int selection_save(const struct selection *s, const char *work, struct err *err)
{
	char *scores = tree_join(work, "scores.jsonl", err);
	char *allocation = scores ? tree_join(work, "allocation.json", err) : NULL;
	int rc = !allocation || save_scores(s, scores, err) || allocation_save(&s->allocation, s->run, allocation, err) ? -1 : 0;
	free(scores);
	free(allocation);
	return rc;
}

/* ---- what a selection says ---------------------------------------------------------------------------------------------- */

static int take_row(struct run *run, struct run_stage *stage, const struct rows *rows, size_t i, struct err *err)
{
	bool selected;
	if (json_get_bool(json_in(json_root(rows->row[i].doc), "selected"), &selected, err))
		return row_refuse(rows, i, err);
	size_t row = data_find(&run->data, &rows->row[i].id);
	if (row == run->data.pool.n || (selected && run->used[row])) {
		err_set(err, ERR_LEDGER, "the example is not in the pool or was taken before: the data have changed");
		return row_refuse(rows, i, err);
	}
	if (selected) {
		stage->real[stage->n_real++] = row;
		run->used[row] = true;
	}
	return 0;
}

int select_load(struct run *run, int64_t k, struct err *err)
{
	struct run_stage *stage = &run->stage[k];
	struct rows rows = {0};
	char *allocation = run_path(run, k, "allocation.json", err), *scores = run_path(run, k, "scores.jsonl", err);
	int rc = !allocation || !scores || allocation_load(&stage->allocation, run, k, allocation, err) ||
				 rows_load(&rows, scores, err)
			 ? -1 : 0;
	stage->real = rc ? NULL : mem_array(rows.n, sizeof *stage->real, err);
	if (!stage->real)
		rc = -1;
	for (size_t i = 0; !rc && i < rows.n; i++)
		rc = take_row(run, stage, &rows, i, err);
	if (!rc)
		draw_query_order(stage->real, stage->n_real, &run->data.pool);
	rows_release(&rows);
	free(allocation);
	free(scores);
	return rc;
}
