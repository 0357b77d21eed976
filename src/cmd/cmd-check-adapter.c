// SPDX-License-Identifier: Apache-2.0
/* check-adapter: would PEFT, vLLM and llama.cpp load this adapter, by their own rules? */
#include <stdio.h>
#include <string.h>

#include "src/base/text.h"
#include "src/cmd/adapter_facts.h"
#include "src/cmd/cmd.h"

/* ---- the loaders' rules ------------------------------------------------------------------ */

/* What stands against loading, or NULL; *note: what has to be done for it, or room for the answer. */
typedef const char *rule_fn(const struct adapter_facts *f, char *note, size_t room);

/* PEFT passes over what it does not know, and says nothing of it. */
static const char *peft_rule(const struct adapter_facts *f, char *note, size_t room)
{
	if (f->fault[0])
		return f->fault;
	if (!f->unlisted[0])
		return NULL;
	snprintf(note, room, "tensor '%s' is none that it would read", f->unlisted);
	return note;
}

/* What both others pass over in silence, although another model comes of it. */
static const char *base_rule(const struct adapter_facts *f, char *note, size_t room)
{
	if (f->replicates)
		return "layer_replication is set, which it does not read: the base has fewer layers";
	if (!f->init[0])
		return NULL;
	snprintf(note, room, "init_lora_weights is '%s', which it does not read: the base is another", f->init);
	return note;
}

/* vllm/lora/peft_helper.py refuses what its kernels lack; ranks beyond max_lora_rank need the option. */
static const char *vllm_rule(const struct adapter_facts *f, char *note, size_t room)
{
	enum { DEFAULT_MAX_RANK = 16 };
	if (f->fault[0])
		return f->fault;
	if (!f->alpha)
		return "lora_alpha is missing";
	if (f->dora)
		return "use_dora is set, which it does not run";
	if (f->saves_modules)
		return "modules_to_save is set, which it does not load";
	if (f->biases)
		return "bias is not none";
	if (f->ranks || f->alphas)
		return "rank_pattern or alpha_pattern is set, which it does not read";
	if (f->unpaired[0]) {
		snprintf(note, room, "tensor '%s' is no A or B", f->unpaired);
		return note;
	}
	const char *why = base_rule(f, note, room);
	if (!why && f->r > DEFAULT_MAX_RANK)
		snprintf(note, room, "start it with --max-lora-rank %lld", (long long)f->r);
	return why;
}

/*
 * convert_lora_to_gguf.py reads lora_alpha and base_model_name_or_path alone and aborts on any other tensor; ranks are
 * those of the tensors.
 */
static const char *llama_rule(const struct adapter_facts *f, char *note, size_t room)
{
	if (f->fault[0])
		return f->fault;
	if (!f->alpha)
		return "lora_alpha is missing";
	if (!f->base)
		return "base_model_name_or_path is missing";
	if (f->rslora)
		return "use_rslora is set, which it ignores: the scale would be wrong";
	if (f->alphas)
		return "alpha_pattern is set, which it ignores: scales would be wrong";
	if (f->dora)
		return "use_dora is set, which it does not run";
	return f->outside[0] ? f->outside : base_rule(f, note, room);
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
	struct adapter_facts facts;
	bool good = true;
	if (check_names(list, err) || adapter_facts_read(&facts, directory, err))
		return -1;
	for (int i = 0; i < LOADERS; i++) {
		char note[300] = "";
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
