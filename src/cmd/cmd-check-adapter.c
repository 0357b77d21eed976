// SPDX-License-Identifier: Apache-2.0
/* check-adapter: would PEFT, vLLM and llama.cpp load this adapter, by their own rules? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/jsonio.h"
#include "src/base/text.h"
#include "src/base/tree.h"
#include "src/cmd/cmd.h"
#include "src/model/adapter.h"
#include "src/model/directory.h"
#include "src/model/safetensors.h"

/* What the loaders look at. */
struct facts {
	int64_t r;
	bool alpha, base, rslora, dora, patterns, saves_modules, biases;
	char other[256];    /* first tensor that is no A or B of a layer's matrix; "" if none */
	char mismatch[512]; /* first A or B of another rank, or without its pair; "" if none */
};

/* ---- reading ------------------------------------------------------------------------- */

/* "…layers.L.PART.lora_A.weight": the letter, or 0. */
static char letter_of(const char *name)
{
	size_t n = strlen(name);
	static const char begin[] = "base_model.model.model.layers.", end[] = ".lora_A.weight";
	if (strncmp(name, begin, sizeof begin - 1) || n < sizeof begin + sizeof end)
		return 0;
	const char *tail = name + n - (sizeof end - 1);
	char letter = tail[6];
	return !strncmp(tail, ".lora_", 6) && (letter == 'A' || letter == 'B') && !strcmp(tail + 7, ".weight") ? letter : 0;
}

static bool has_pair(const struct safetensors *file, const char *name, char letter)
{
	char other[LIMIT_NAME_BYTES + 1];
	struct tensor_info info;
	size_t n = strlen(name);
	snprintf(other, sizeof other, "%s", name);
	if (n >= 8)
		other[n - 8] = letter == 'A' ? 'B' : 'A';
	return safetensors_find(file, other, &info);
}

static void look_at(struct facts *f, const struct safetensors *file, const char *name)
{
	struct tensor_info info;
	char letter = letter_of(name), shown[200];
	text_escape(shown, sizeof shown, name, strlen(name));
	if (!letter) {
		if (!f->other[0])
			snprintf(f->other, sizeof f->other, "%s", shown);
		return;
	}
	safetensors_find(file, name, &info);
	int64_t rank = info.rank == 2 ? info.shape[letter == 'A' ? 0 : 1] : -1;
	if (f->mismatch[0])
		return;
	if (!has_pair(file, name, letter))
		snprintf(f->mismatch, sizeof f->mismatch, "tensor '%s' has no partner", shown);
	else if (rank != f->r && !f->patterns)
		snprintf(f->mismatch, sizeof f->mismatch, "tensor '%s' has rank %lld, adapter_config.json says %lld", shown,
			 (long long)rank, (long long)f->r);
}

static bool is_on(struct json_value root, const char *key)
{
	bool on = false;
	return !json_opt_bool(json_in(root, key), false, &on, NULL) && on;
}

static bool has_members(struct json_value object)
{
	struct json_iter it;
	return json_kind(object) == JSON_OBJECT && !json_members(object, &it, NULL) && json_next(&it);
}

static int read_config(struct facts *f, const char *directory, struct err *err)
{
	size_t n;
	const char *bias = "none";
	char *text = directory_check(directory, err) ? NULL
						     : directory_read(directory, "adapter_config.json", LIMIT_CONFIG_BYTES, &n, err);
	struct json *doc = text ? json_parse(text, n, NULL, err) : NULL;
	struct json_value root = doc ? json_root(doc) : (struct json_value){0};
	int rc = !doc || json_get_int64(json_in(root, "r"), &f->r, err) ||
				 json_opt_string(json_in(root, "bias"), "none", &bias, NULL, err)
			 ? -1 : 0;
	if (!rc) {
		f->alpha = json_kind(json_in(root, "lora_alpha")) != JSON_ABSENT;
		f->base = json_kind(json_in(root, "base_model_name_or_path")) == JSON_STRING;
		f->rslora = is_on(root, "use_rslora");
		f->dora = is_on(root, "use_dora");
		f->patterns = has_members(json_in(root, "rank_pattern")) || has_members(json_in(root, "alpha_pattern"));
		f->saves_modules = json_kind(json_in(root, "modules_to_save")) == JSON_ARRAY;
		f->biases = strcmp(bias, "none") != 0;
	}
	json_free(doc);
	free(text);
	return rc ? err_prefix(err, "%s/adapter_config.json", directory) : 0;
}

static int read_facts(struct facts *f, const char *directory, struct err *err)
{
	*f = (struct facts){0};
	if (read_config(f, directory, err))
		return -1;
	char *path = tree_join(directory, "adapter_model.safetensors", err);
	struct safetensors *file = path ? safetensors_open(path, err) : NULL;
	free(path);
	if (!file)
		return directory_blame(err);
	for (size_t i = 0; i < safetensors_count(file); i++)
		look_at(f, file, safetensors_name(file, i));
	safetensors_close(file);
	return 0;
}

/* ---- the loaders' rules ------------------------------------------------------------------ */

/* What stands against loading, or NULL; *note: what has to be done for it. */
typedef const char *rule_fn(const struct facts *f, char *note, size_t room);

static const char *peft_rule(const struct facts *f, char *note, size_t room)
{
	(void)note, (void)room;
	return f->mismatch[0] ? f->mismatch : NULL;
}

/* vllm/lora/peft_helper.py refuses what its kernels lack; ranks beyond max_lora_rank need the option. */
static const char *vllm_rule(const struct facts *f, char *note, size_t room)
{
	enum { DEFAULT_MAX_RANK = 16 };
	if (f->mismatch[0])
		return f->mismatch;
	if (f->dora)
		return "use_dora is set, which it does not run";
	if (f->saves_modules)
		return "modules_to_save is set, which it does not load";
	if (f->biases)
		return "bias is not none";
	if (f->patterns)
		return "rank_pattern or alpha_pattern is set, which it does not read";
	if (f->r > DEFAULT_MAX_RANK)
		snprintf(note, room, "start it with --max-lora-rank %lld", (long long)f->r);
	return NULL;
}

/* convert_lora_to_gguf.py reads lora_alpha and base_model_name_or_path alone and aborts on any other tensor. */
static const char *llama_rule(const struct facts *f, char *note, size_t room)
{
	(void)note, (void)room;
	if (f->mismatch[0])
		return f->mismatch;
	if (!f->alpha)
		return "lora_alpha is missing";
	if (!f->base)
		return "base_model_name_or_path is missing";
	if (f->rslora)
		return "use_rslora is set, which it ignores: the scale would be wrong";
	if (f->dora)
		return "use_dora is set, which it does not run";
	return f->other[0] ? f->other : NULL;
}

static const struct {
	const char *name;
	rule_fn *rule;
} loaders[] = {{"peft", peft_rule}, {"vllm", vllm_rule}, {"llama.cpp", llama_rule}};
enum { LOADERS = sizeof loaders / sizeof *loaders };

/* ---- the command --------------------------------------------------------------------------- */

static bool wanted(const char *list, const char *name)
{
	size_t n = strlen(name);
	for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == n && !memcmp(at, name, n))
			return true;
	return false;
}

static int check_names(const char *list, struct err *err)
{
	if (!*list)
		return err_set(err, ERR_CONFIG, "'--for' names no loader; it knows peft, vllm and llama.cpp");
	for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',') {
		size_t n = strcspn(at, ",");
		int i = 0;
		while (i < LOADERS && (strlen(loaders[i].name) != n || memcmp(loaders[i].name, at, n)))
			i++;
		if (i == LOADERS)
			return err_set(err, ERR_CONFIG, "'--for' knows peft, vllm and llama.cpp, not '%.*s'",
				       (int)(n < 64 ? n : 64), at);
	}
	return 0;
}

static int check(const char *directory, const char *list, struct err *err)
{
	struct facts facts;
	bool good = true;
	if (check_names(list, err) || read_facts(&facts, directory, err))
		return -1;
	for (int i = 0; i < LOADERS; i++) {
		char note[128] = "";
		if (!wanted(list, loaders[i].name))
			continue;
		const char *why = loaders[i].rule(&facts, note, sizeof note);
		good = good && !why;
		printf("%-10s %-4s %s\n", loaders[i].name, why ? "no" : "yes", why ? why : note);
	}
	return good ? 0 : err_set(err, ERR_DATA, "%s does not load everywhere", directory);
}

static int run(struct arguments *args, struct err *err)
{
	const char *list = "peft,vllm,llama.cpp";
	const struct option_row rows[] = {
		{"for", OPTION_TEXT, &list, "LIST", "loaders to check for (peft,vllm,llama.cpp)"},
		{0},
	};
	int go = options_parse(&cmd_check_adapter, rows, args, err);
	if (go <= 0)
		return go;
	return options_expect(&cmd_check_adapter, args, 1, 1, err) || check(args->argv[0], list, err) ? -1 : 0;
}

const struct command cmd_check_adapter = {"check-adapter", "would other programs load this adapter?", "DIR", run, 0};
