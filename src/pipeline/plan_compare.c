// SPDX-License-Identifier: Apache-2.0
/* Is it still the same run? */
#include "src/pipeline/plan_keys.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/jsonfile.h"

/* The meaning of one key, released with free(). */
static char *meaning(const struct plan *plan, const struct plan_key *key, struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	plan_key_put(&w, plan, key);
	return json_take(&w, NULL, err);
}

static int differs(bool *out, const struct plan *a, const struct plan *b, const struct plan_key *key, struct err *err)
{
	char *one = meaning(a, key, err), *other = meaning(b, key, err);
	int rc = one && other ? 0 : -1;
	*out = !rc && strcmp(one, other);
	free(one);
	free(other);
	return rc;
}

/* As written, so that no variable's value is shown. */
static char *shown(const struct plan *plan, const struct plan_key *key, struct err *err)
{
	const struct yaml_node *node = plan_key_applies(plan, key) ? plan_key_node(plan, key) : NULL;
	struct grown out = {0};
	if (node)
		plan_put_flow(&out, node);
	if (!out.n)
		grown_put(&out, "nothing");
	return grown_take(&out, err);
}

static int refuse_change(const struct plan *plan, const struct plan *before, const struct plan_key *key,
			 struct err *err)
{
	char *was = shown(before, key, err), *is = shown(plan, key, err);
	if (was && is)
		err_set(err, ERR_CONFIG,
			"'%s' is %.200s, but this run was begun with %.200s; take the earlier value, or another "
			"output_dir",
			key->path, is, was);
	plan_one_line(err);
	free(was);
	free(is);
	return -1;
}

static int compare_key(const struct plan *plan, const struct plan *before, const struct plan_key *key,
		       struct plan_changes *changes, struct err *err)
{
	bool changed;
	if (key->flags & KEY_GROWS)
		return plan->budget >= before->budget
			       ? 0
			       : err_set(err, ERR_CONFIG,
					 "'budget' is %" PRId64 ", but this run was begun with %" PRId64
					 "; a budget may only grow",
					 plan->budget, before->budget);
	if (differs(&changed, plan, before, key, err))
		return -1;
	if (changed && !strcmp(key->path, "student.backend"))
		changes->backend = true;
	if (changed && (key->flags & KEY_MOVES))
		changes->moved = key->path;
	return changed && !(key->flags & (KEY_CHANGES | KEY_MOVES)) ? refuse_change(plan, before, key, err) : 0;
}

int plan_compare(const struct plan *plan, const char *before, struct plan_changes *changes, struct err *err)
{
	struct err unwanted;
	struct plan earlier;
	int rc = 0;
	err = err ? err : &unwanted;
	*changes = (struct plan_changes){0};
	if (plan_read(&earlier, yaml_parse("the run's own plan.yaml", before, strlen(before), err), NULL, plan->path, err))
		return -1;
	for (const struct plan_key *key = plan_keys; key->path && !rc; key++)
		rc = compare_key(plan, &earlier, key, changes, err);
	plan_release(&earlier);
	return rc;
}

int plan_hash(unsigned char digest[HASH_SIZE], const struct plan *plan, struct err *err)
{
	struct json_writer w;
	size_t n;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	for (const struct plan_key *key = plan_keys; key->path; key++) {
		if (key->flags & (KEY_CHANGES | KEY_MOVES | KEY_GROWS))
			continue;
		json_put_key(&w, key->path);
		plan_key_put(&w, plan, key);
	}
	json_end_object(&w);
	const char *text = json_writer_text(&w, &n, err);
	int rc = text ? hash_bytes(digest, text, n, err) : -1;
	json_writer_release(&w);
	return rc;
}
