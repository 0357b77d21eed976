// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/rehearsal.h"

#include <stdlib.h>

#include "src/base/tree.h"
#include "src/pipeline/completions.h"

static int prompt_length(size_t *n, const struct run *run, struct student *student, size_t row, struct err *err)
{
	struct example_ids ids = {0};
	const char **prompt = data_prompts(&run->data, &run->data.pool, &row, 1, err);
	int rc = prompt ? completions_encode(student, prompt[0], NULL, &ids, err) : -1;
	*n = ids.prompt.n;
	example_release(&ids);
	if (prompt)
		data_prompts_free(prompt, 1);
	return rc;
}

static int look_for_room(const struct run *run, struct student *student, struct err *err)
{
	const int64_t most = run->plan->training.max_length;
	for (size_t row = 0; row < run->data.pool.n; row++) {
		size_t n;
		if (prompt_length(&n, run, student, row, err))
			return -1;
		if ((int64_t)n < most)
			return 0;
	}
	return err_set(err, ERR_CONFIG, "training.max_length is %lld, and no prompt of '%s' is shorter; raise it",
		       (long long)most, run->plan->task.train);
}

int rehearse(const struct run *run, struct err *err)
{
	enum tree_kind kind;
	if (!run->source.teacher || !run->source.teacher->billable)
		return 0;
	char *ledger = tree_join(run->directory, "ledger.db", err);
	int rc = ledger ? tree_look(ledger, &kind, err) : -1;
	free(ledger);
	if (rc || kind != TREE_NOTHING)
		return rc;
	struct student *student = completions_student(run->plan, NULL, err);
	rc = student ? look_for_room(run, student, err) : -1;
	student_close(student);
	return rc;
}
