// SPDX-License-Identifier: Apache-2.0
/* Rationales for the real examples of a stage: one query each, greedy, zero-shot (Zhou et al. 2024, section 3.6). */
#include <stdlib.h>
#include <string.h>

#include "src/pipeline/synthesise.h"

static int make_query(struct collect_query *q, const struct run *run, size_t pool, struct err *err)
{
	const struct example *example = &run->data.pool.row[pool];
	char *id = data_id(&example->id, err);
	char *body = id ? data_annotation(&run->data, run->plan, example, &q->body_n, err) : NULL;
	q->kind = "annotate";
	q->domain = run->data.pool.domain[example->domain].name;
	q->example_id = id;
	q->input = example->input;
	q->input_n = strlen(example->input);
	q->body = body;
	return body ? 0 : -1;
}

int annotate_step(struct run *run, int64_t k, struct err *err)
{
	const struct run_stage *stage = &run->stage[k];
	size_t n = run->method->teacher ? stage->n_real : 0;
	struct collect_query *queries = mem_array(n, sizeof *queries, err);
	struct collect_counts counts;
	int rc = queries ? 0 : -1;
	for (size_t i = 0; !rc && i < n; i++)
		rc = make_query(&queries[i], run, stage->real[i], err);
	if (!rc)
		rc = collect_step(&run->collector, k, "annotate", queries, n, &counts, err);
	for (size_t i = 0; queries && i < n; i++) {
		free((char *)queries[i].example_id);
		free((char *)queries[i].body);
	}
	free(queries);
	return rc;
}
