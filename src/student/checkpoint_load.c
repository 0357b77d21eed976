// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/jsonio.h"
#include "src/base/tree.h"
#include "src/model/directory.h"
#include "src/student/checkpoint.h"
#include "src/student/checkpoint_files.h"
#include "src/student/train.h"

enum { MAX_JSON = 4096 };

static struct json *load_json(const char *directory, const char *name, struct err *err)
{
	size_t n;
	char *text = directory_read(directory, name, MAX_JSON, &n, err);
	struct json *doc = text ? json_parse(text, n, NULL, err) : NULL;
	free(text);
	return doc;
}

/* Does every file have the digest that the manifest tells? */
static int verify(const char *directory, struct err *err)
{
	struct json *doc = load_json(directory, checkpoint_manifest, err);
	int rc = doc ? 0 : -1;
	for (int i = 0; !rc && i < CHECKPOINT_LISTED; i++) {
		const char *wanted;
		char hex[HASH_HEX_ROOM];
		rc = json_get_string(json_in(json_root(doc), checkpoint_listed[i]), &wanted, NULL, err) ||
		     checkpoint_digest(directory, checkpoint_listed[i], hex, err) ? -1 : 0;
		if (!rc && strcmp(wanted, hex))
			rc = err_set(err, ERR_DATA, "%s/%s differs from its manifest", directory, checkpoint_listed[i]);
	}
	json_free(doc);
	return rc;
}

static int check_state(const struct checkpoint_place *place, const char *directory, int64_t step, struct err *err)
{
	int64_t found = -1;
	const char *configuration;
	struct json *doc = load_json(directory, checkpoint_listed[CHECKPOINT_STATE], err);
	int rc = !doc || json_get_int64(json_in(json_root(doc), "step"), &found, err) ||
				 json_get_string(json_in(json_root(doc), "configuration"), &configuration, NULL, err)
			 ? -1 : 0;
	if (!rc && found != step)
		rc = err_set(err, ERR_DATA, "%s is of step %lld", directory, (long long)found);
	else if (!rc && strcmp(configuration, place->configuration))
		rc = err_set(err, ERR_CANTCREATE,
			     "%s is of another training (other options, rows, model, backend, threads, or a bound of memory that changed its calls); remove it or choose another directory",
			     directory);
	json_free(doc);
	return rc;
}

static int load_values(const char *directory, struct parameters *params, struct err *err)
{
	char *values = tree_join(directory, checkpoint_listed[CHECKPOINT_VALUES], err);
	char *moments = tree_join(directory, checkpoint_listed[CHECKPOINT_MOMENTS], err);
	int rc = !values || !moments || parameters_load(params, PARAMETER_VALUES, values, err) ||
				 parameters_load(params, PARAMETER_MOMENTS, moments, err)
			 ? -1 : 0;
	free(values);
	free(moments);
	return rc;
}

enum { OTHER = 2 };

/* 1: loaded; 0 or OTHER: not whole, or of another training, `passed` says so; -1: failure. */
static int try_one(const struct checkpoint_place *place, struct parameters *params, int64_t step, char *passed,
		   struct err *err)
{
	struct err why = {0};
	char *directory = checkpoint_path(place->directory, step, false, err);
	if (!directory)
		return -1;
	int rc = 1;
	if (verify(directory, &why)) {
		snprintf(passed, 256, "%.255s", why.message);
		rc = why.code == ERR_MEMORY ? err_set(err, ERR_MEMORY, "%s", why.message) : 0;
	} else if (check_state(place, directory, step, &why)) {
		bool other = why.code == ERR_CANTCREATE && place->restart;
		snprintf(passed, 256, "the backend, its threads or the memory are others than when this training began: it begins anew");
		rc = other ? OTHER : err_set(err, why.code, "%s", why.message);
	} else if (load_values(directory, params, err)) {
		rc = -1;
	}
	free(directory);
	return rc;
}

int checkpoint_load(const struct checkpoint_place *place, struct parameters *params, int64_t *step, char *passed,
		    struct err *err)
{
	size_t n;
	int64_t *steps = checkpoint_steps(place->directory, &n, err);
	int rc = steps ? 0 : -1;
	*step = 0;
	passed[0] = '\0';
	bool other = false;
	for (size_t i = 0; (!rc || rc == OTHER) && i < n; i++) {
		rc = try_one(place, params, steps[i], passed, err);
		other = other || rc == OTHER;
		if (rc == 1)
			*step = steps[i];
	}
	free(steps);
	if (rc >= 0 && other && !*step)
		rc = checkpoint_remove_all(place->directory, err);
	return rc < 0 ? -1 : 0;
}

bool checkpoint_any(const char *directory)
{
	size_t n = 0;
	int64_t *steps = checkpoint_steps(directory, &n, NULL);
	free(steps);
	return n > 0;
}
