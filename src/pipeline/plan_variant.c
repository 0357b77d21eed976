// SPDX-License-Identifier: Apache-2.0
/* A plan with another method and seed: one of the runs of a comparison. */
#include <stdlib.h>
#include <string.h>

#include "src/pipeline/plan_keys.h"

/* The three keys that differ, each by its whole path; the directory stands below the plan's own, as written there. */
static struct yaml *overrides(const struct plan *base, const char *method, uint64_t seed, struct err *err)
{
	const char *directory = plan_key_node(base, plan_key_find("output_dir"))->verbatim;
	char *below = grown_format(err, "%s/%s/%llu", directory, method, (unsigned long long)seed), *text = NULL;
	struct json_writer w;
	size_t n;
	json_writer_init(&w, 0);
	if (below)
		json_put_string(&w, below, strlen(below));
	const char *quoted = below ? json_writer_text(&w, &n, err) : NULL;
	if (quoted)
		text = grown_format(err, "method.name: %s\nseed: %llu\noutput_dir: %s\n", method, (unsigned long long)seed, quoted);
	struct yaml *doc = text ? yaml_parse(base->path, text, strlen(text), err) : NULL;
	json_writer_release(&w);
	free(text);
	free(below);
	return doc;
}

int plan_load_variant(struct plan *plan, const char *path, const char *method, uint64_t seed, struct err *err)
{
	struct plan base;
	if (plan_load(&base, path, err))
		return -1;
	struct yaml *doc = overrides(&base, method, seed, err);
	plan_release(&base);
	return doc ? plan_read(plan, yaml_load(path, err), doc, path, err) : -1;
}
