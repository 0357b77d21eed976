// SPDX-License-Identifier: Apache-2.0
/* backends: what this build and this machine can run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backends/backend.h"
#include "src/base/jsonio.h"
#include "src/cmd/cmd.h"
#include "src/cmd/print.h"

/* "float32 bfloat16" as a list. */
static void put_words(struct json_writer *w, const char *key, const char *text)
{
	json_put_key(w, key);
	json_begin_array(w);
	for (size_t n; *text; text += n + (text[n] == ' ')) {
		n = strcspn(text, " ");
		json_put_string(w, text, n);
	}
	json_end_array(w);
}

static void put_backend(struct json_writer *w, const struct backend_info *info)
{
	json_begin_object(w);
	json_member_text(w, "name", info->name);
	json_put_key(w, "built");
	json_put_bool(w, info->built);
	json_put_key(w, "usable");
	json_put_bool(w, info->usable);
	json_member_text(w, "reason", info->reason);
	put_words(w, "dtypes", info->dtypes);
	json_member_text(w, "library", info->library);
	json_member_text(w, "core", info->core);
	json_member_text(w, "threading", info->threading);
	json_member_text(w, "level", info->level);
	json_put_key(w, "threads");
	json_put_int(w, info->threads);
	json_end_object(w);
}

static void put_automatic(struct json_writer *w)
{
	json_put_key(w, "auto");
	json_begin_object(w);
	json_member_text(w, "float32", backend_automatic(DTYPE_F32));
	json_member_text(w, "bfloat16", backend_automatic(DTYPE_BF16));
	json_end_object(w);
}

static int print_json(struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 2);
	json_begin_object(&w);
	put_automatic(&w);
	json_put_key(&w, "backends");
	json_begin_array(&w);
	for (const char *const *name = backend_names; *name; name++) {
		struct backend_info info;
		backend_probe(*name, &info);
		put_backend(&w, &info);
	}
	json_end_array(&w);
	json_end_object(&w);
	return print_document(&w, err);
}

static void print_backend(const struct backend_info *info)
{
	const char *state = info->usable ? "usable" : info->built ? "not usable" : "not built";
	printf("%-10s %-11s", info->name, state);
	if (!info->usable) {
		printf(" %s\n", info->reason);
		return;
	}
	printf(" %s", info->library);
	if (info->core[0])
		printf(", %s kernels", info->core);
	if (info->level[0])
		printf(", %s", info->level);
	if (info->threading[0])
		printf(", %d thread%s (%s)", info->threads, info->threads == 1 ? "" : "s", info->threading);
	printf("; %s\n", info->dtypes);
}

/* `user` is what the environment said before any backend was opened, NULL for nothing. */
static void print_core_rule(const char *user)
{
	const char *core = backend_openblas_core();
	struct backend_info info;
	backend_probe("openblas", &info);
	if (!info.usable)
		return;
	if (user && *user)
		printf("OPENBLAS_CORETYPE is %s in the environment, which openblas follows%s%s.\n", user,
		       core && strcasecmp(core, user) ? "; unset, it would be asked for " : "",
		       core && strcasecmp(core, user) ? core : "");
	else if (core)
		printf("openblas is asked for its %s kernels (OPENBLAS_CORETYPE), which this CPU can run and which are\n"
		       "faster than those old releases choose for CPUs they do not know.\n", core);
}

/* What to say of the backend that bfloat16 gets. */
static const char *bf16_note(void)
{
	struct backend_info info;
	backend_probe(backend_automatic(DTYPE_BF16), &info);
	return !info.usable || strstr(info.dtypes, "bfloat16") ? "" : ", which stores it and computes in float32";
}

static void print_text(void)
{
	const char *user = getenv("OPENBLAS_CORETYPE");
	for (const char *const *name = backend_names; *name; name++) {
		struct backend_info info;
		backend_probe(*name, &info);
		print_backend(&info);
	}
	printf("\n--backend auto takes %s for float32, the first usable one of this list; %s for bfloat16%s.\n",
	       backend_automatic(DTYPE_F32), backend_automatic(DTYPE_BF16), bf16_note());
	print_core_rule(user);
}

static int run(struct arguments *args, struct err *err)
{
	int go = options_parse(&cmd_backends, NULL, args, err);
	if (go <= 0)
		return go;
	if (options_expect(&cmd_backends, args, 0, 0, err))
		return -1;
	if (args->json)
		return print_json(err);
	print_text();
	return 0;
}

const struct command cmd_backends = {"backends", "show what this build and this machine can run", NULL, run, NEEDS_JSON};
