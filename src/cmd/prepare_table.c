// SPDX-License-Identifier: Apache-2.0
/* What prepare prints (prepare.h). */
#include "src/cmd/prepare.h"

#include <stdio.h>
#include <string.h>

#include "src/cmd/print.h"
#include "src/dataset/chart.h"

static size_t test_rows(const struct prepared *p, const char *domain)
{
	size_t d = examples_find_domain(&p->test, domain);
	return d < p->test.l ? p->test.domain[d].n : 0;
}

static bool without_training(const struct prepared *p, size_t test_domain)
{
	return examples_find_domain(&p->pool, p->test.domain[test_domain].name) == p->pool.l;
}

/* Row d: first the domains of the pool, then those of the test set that the pool lacks; NULL where it has it. */
static const struct example_domain *domain_at(const struct prepared *p, size_t d)
{
	if (d < p->pool.l)
		return &p->pool.domain[d];
	return without_training(p, d - p->pool.l) ? &p->test.domain[d - p->pool.l] : NULL;
}

static size_t train_rows(const struct prepared *p, size_t d)
{
	return d < p->pool.l ? p->pool.domain[d].n : 0;
}

void prepare_print(const struct prepared *p)
{
	enum { BAR = 40 };
	static const char bar[] = "########################################";
	size_t most = p->pool.l ? p->pool.domain[0].n : 0;
	printf("%-24s %8s %8s       (bars: logarithmic)\n", "domain", "train", "test");
	for (size_t d = 0; d < p->pool.l + p->test.l; d++) {
		const struct example_domain *domain = domain_at(p, d);
		if (!domain)
			continue;
		size_t train = train_rows(p, d);
		int length = (int)(BAR * chart_share(train, most) + 0.5);
		print_name(domain->name, strlen(domain->name));
		printf(" %8zu %8zu  %s %.*s\n", train, test_rows(p, domain->name), domain->head ? "head" : "tail", length, bar);
	}
	printf("%-24s %8zu %8zu\n", "all", p->pool.n, p->test.n);
}

void prepare_print_notes(const struct prepared *p, bool dropped, bool near_dropped)
{
	if (p->duplicates)
		fprintf(stderr, "%zu training rows equal one before them; %s\n", p->duplicates,
			dropped ? "dropped" : "--drop-duplicates removes them");
	if (p->near_rows)
		fprintf(stderr, "%zu training rows are copies or near copies of test rows (%zu pairs); %s\n",
			p->near_rows, p->nears, near_dropped ? "dropped" : "--drop-near-duplicates removes them");
	size_t rows = 0;
	for (size_t d = 0; d < p->test.l; d++)
		rows += without_training(p, d) ? p->test.domain[d].n : 0;
	if (rows)
		fprintf(stderr, "%zu test rows are of domains without a training row, which 'baldistill run' refuses\n",
			rows);
}

int prepare_print_json(const struct prepared *p, struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 2);
	json_begin_object(&w);
	json_member_uint(&w, "train", p->pool.n);
	json_member_uint(&w, "test", p->test.n);
	json_member_uint(&w, "duplicates", p->duplicates);
	json_member_uint(&w, "near_duplicates", p->near_rows);
	json_put_key(&w, "domains");
	json_begin_array(&w);
	for (size_t d = 0; d < p->pool.l + p->test.l; d++) {
		const struct example_domain *domain = domain_at(p, d);
		if (!domain)
			continue;
		json_begin_object(&w);
		json_put_key(&w, "domain");
		json_put_string(&w, domain->name, strlen(domain->name));
		json_member_uint(&w, "train", train_rows(p, d));
		json_member_uint(&w, "test", test_rows(p, domain->name));
		json_put_key(&w, "class");
		json_put_string(&w, domain->head ? "head" : "tail", 4);
		json_end_object(&w);
	}
	json_end_array(&w);
	json_end_object(&w);
	return print_document(&w, err);
}
