// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/status.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/jsonfile.h"
#include "src/base/mem.h"
#include "src/base/tree.h"

struct answers {
	const struct status *status;
	int64_t (*count)[2]; /* [l]: answered, unusable */
};

static int visit(void *context, const char *domain, int64_t answered, int64_t unusable, struct err *err)
{
	struct answers *a = context;
	(void)err;
	for (size_t i = 0; i < a->status->l; i++)
		if (!strcmp(a->status->domain[i].name, domain)) {
			a->count[i][0] = answered;
			a->count[i][1] = unusable;
			break;
		}
	return 0;
}

static void put_domains(struct json_writer *w, const struct answers *a)
{
	json_put_key(w, "domains");
	json_begin_array(w);
	for (size_t i = 0; i < a->status->l; i++) {
		json_begin_object(w);
		json_member_text(w, "domain", a->status->domain[i].name);
		json_member_int(w, "required", a->status->domain[i].required);
		json_member_int(w, "answered", a->count[i][0]);
		json_member_int(w, "unusable", a->count[i][1]);
		json_end_object(w);
	}
	json_end_array(w);
}

static void put_status(struct json_writer *w, const struct ledger_counts *counts, const struct answers *a)
{
	const struct status *status = a->status;
	json_begin_object(w);
	json_put_key(w, "ledger");
	ledger_put_counts(w, counts);
	json_member_int(w, "stage", status->stage);
	json_member_text(w, "step", status->step);
	json_member_known(w, "cost", (double)counts->cost / 1e9, status->has_cost);
	json_member_known(w, "seconds_left", status->seconds_left, status->seconds_left >= 0);
	put_domains(w, a);
	json_end_object(w);
}

int status_write(const char *directory, struct ledger *ledger, const struct status *status, struct err *err)
{
	struct answers answers = {status, mem_array(status->l, sizeof *answers.count, err)};
	char *path = answers.count ? tree_join(directory, "status.json", err) : NULL;
	struct ledger_counts counts;
	struct json_writer w;
	int rc = !path || ledger_counts(ledger, &counts, err) || ledger_domains(ledger, visit, &answers, err) ? -1 : 0;
	if (!rc) {
		json_writer_init(&w, 2);
		put_status(&w, &counts, &answers);
		rc = json_save(&w, path, 0600, err);
	}
	free(path);
	free(answers.count);
	return rc;
}
