// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/jsonfile.h"
#include "src/pipeline/run.h"

enum { MAX_FILE = 64 << 20 };

/* ---- numbers ------------------------------------------------------------------------------------- */

static int begin(struct allocation *a, const struct run *run, int64_t k, struct err *err)
{
	*a = (struct allocation){.stage = k, .budget = run->budget[k], .cumulative = run_cumulative(run, k),
				 .l = run->data.pool.l};
	a->domain = mem_array(a->l, sizeof *a->domain, err);
	if (!a->domain)
		return -1;
	for (size_t i = 0; i < run->data.pool.n; i++)
		a->domain[run->data.pool.row[i].domain].available += !run->used[i];
	return 0;
}

/* Head or tail is decided by r_d; replacements come from the pool while it has one. */
static void split(struct allocation_domain *d, int64_t required, int64_t replacements, enum method_tail tail)
{
	struct policy_row row = policy_split(required, d->available);
	int64_t left = d->available - row.real, more = replacements < left ? replacements : left;
	d->required = required;
	d->replacements = replacements;
	d->tail = row.tail;
	d->real = row.real + more;
	d->synthetic = tail == TAIL_SYNTHESIS ? row.synthetic + replacements - more : 0;
	d->repeated = tail == TAIL_REPEAT ? row.synthetic : 0;
}

int allocation_fill(struct allocation *a, const struct run *run, int64_t k, const int64_t *required,
		    const int64_t *replacement, struct err *err)
{
	if (begin(a, run, k, err))
		return -1;
	for (size_t d = 0; d < a->l; d++)
		split(&a->domain[d], required[d], replacement ? replacement[d] : 0, run->method->tail);
	return 0;
}

int allocation_divide(int64_t *required, const struct policy *policy, const struct policy_domain *domain, size_t l,
		      int64_t budget, int64_t k, struct err *err)
{
	errno = 0;
	if (!policy_allocate(required, policy, domain, l, budget, k))
		return 0;
	if (errno == ENOMEM)
		return err_set_errno(err, ERR_MEMORY, "dividing a budget over %zu domains", l);
	return err_set(err, ERR_CONFIG, "a budget of %lld over %zu domains is outside the policy's limits",
		       (long long)budget, l);
}

int allocation_make(struct allocation *a, const struct run *run, int64_t k, const int64_t *replacement, struct err *err)
{
	size_t l = run->data.pool.l;
	struct policy_domain *domain = mem_array(l, sizeof *domain, err);
	int64_t *required = domain ? mem_array(l, sizeof *required, err) : NULL;
	struct policy policy = {run->method->draw == DRAW_NAIVE ? POLICY_NAIVE : POLICY_ADAPTIVE,
				(int)run->plan->method.policy_index_base, run->stages};
	int rc = required ? 0 : -1;
	for (size_t d = 0; !rc && d < l; d++)
		domain[d] = (struct policy_domain){run->data.pool.domain[d].name, (int64_t)run->data.pool.domain[d].n};
	if (!rc)
		rc = allocation_divide(required, &policy, domain, l, run->budget[k], k, err);
	if (!rc)
		rc = allocation_fill(a, run, k, required, replacement, err);
	free(required);
	free(domain);
	return rc;
}

void allocation_release(struct allocation *a)
{
	free(a->domain);
	*a = (struct allocation){0};
}

/* ---- file ------------------------------------------------------------------------------------------ */

/* Members of a domain's object, in order. */
static const struct {
	const char *name;
	size_t at;
} numbers[] = {
	{"available", offsetof(struct allocation_domain, available)},
	{"required", offsetof(struct allocation_domain, required)},
	{"real", offsetof(struct allocation_domain, real)},
	{"synthetic", offsetof(struct allocation_domain, synthetic)},
	{"repeated", offsetof(struct allocation_domain, repeated)},
	{"replacements", offsetof(struct allocation_domain, replacements)},
};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static int64_t *number(struct allocation_domain *d, size_t i)
{
	return (int64_t *)((char *)d + numbers[i].at);
}

static void put_domain(struct json_writer *w, const struct example_domain *name, struct allocation_domain *d)
{
	json_begin_object(w);
	json_member_text(w, "domain", name->name);
	json_member_uint(w, "pool", name->n);
	for (size_t i = 0; i < NUMBERS; i++)
		json_member_int(w, numbers[i].name, *number(d, i));
	json_member_text(w, "class", d->tail ? "tail" : "head");
	json_end_object(w);
}

int allocation_save(const struct allocation *a, const struct run *run, const char *path, struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	json_member_int(&w, "stage", a->stage);
	json_member_int(&w, "budget", a->budget);
	json_member_int(&w, "cumulative", a->cumulative);
	json_put_key(&w, "domains");
	json_begin_array(&w);
	for (size_t d = 0; d < a->l; d++)
		put_domain(&w, &run->data.pool.domain[d], &a->domain[d]);
	json_end_array(&w);
	json_end_object(&w);
	return json_save(&w, path, 0666, err);
}

static int read_domain(struct allocation_domain *d, struct json_value value, const char *name, struct err *err)
{
	const char *text, *class;
	if (json_get_string(json_in(value, "domain"), &text, NULL, err) ||
	    json_get_string(json_in(value, "class"), &class, NULL, err))
		return -1;
	if (strcmp(text, name))
		return err_set(err, ERR_LEDGER, "domain '%s' stands where '%s' is expected: the data have changed", text, name);
	for (size_t i = 0; i < NUMBERS; i++)
		if (json_get_int64(json_in(value, numbers[i].name), number(d, i), err))
			return -1;
	d->tail = !strcmp(class, "tail");
	return 0;
}

static int read_all(struct allocation *a, const struct run *run, struct json_value root, struct err *err)
{
	struct json_value list = json_in(root, "domains");
	size_t n;
	if (json_get_int64(json_in(root, "budget"), &a->budget, err) ||
	    json_get_int64(json_in(root, "cumulative"), &a->cumulative, err) || json_get_length(list, &n, err))
		return -1;
	if (n != run->data.pool.l)
		return err_set(err, ERR_LEDGER, "%zu domains stand where the data have %zu", n, run->data.pool.l);
	a->domain = mem_array(n, sizeof *a->domain, err);
	a->l = n;
	for (size_t d = 0; a->domain && d < n; d++)
		if (read_domain(&a->domain[d], json_at(list, d), run->data.pool.domain[d].name, err))
			return -1;
	return a->domain ? 0 : -1;
}

int allocation_load(struct allocation *a, const struct run *run, int64_t k, const char *path, struct err *err)
{
	size_t n;
	char *text = file_read(path, MAX_FILE, &n, err);
	struct json *doc = text ? json_parse(text, n, NULL, err) : NULL;
	*a = (struct allocation){.stage = k};
	int rc = doc ? read_all(a, run, json_root(doc), err) : -1;
	json_free(doc);
	free(text);
	if (rc)
		allocation_release(a);
	return rc ? err_prefix(err, "%s", path) : 0;
}
