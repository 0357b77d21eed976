// SPDX-License-Identifier: Apache-2.0
/* Every key of a plan. Source: the project's own; names are Hugging Face's and OpenAI's where these have one. */
#include "src/pipeline/plan_keys.h"

#include <string.h>

#include "backends/backend.h"
#include "reference/policy.h"

#define WORDS(name, ...) static const char *const name[] = {__VA_ARGS__, NULL}

WORDS(task_types, "classification", "multiple_choice", "math", "qa"); /* enum answer_type */
WORDS(first_stages, "random", "ifd");
WORDS(ifd_filters, "none", "below_one");
WORDS(wrong_answers, "drop", "keep");
WORDS(verifies, "full", "parse");
WORDS(dtypes, "bfloat16", "float32");
WORDS(chats, "none", "auto", "chatml", "llama2", "llama3", "mistral", "zephyr");
WORDS(ifd_targets, "generated", "gold");
WORDS(limit_keys, "max_tokens", "max_completion_tokens");
WORDS(missings, "error", "skip");
WORDS(evaluates, "last", "all", "none");
WORDS(evaluates_on, "test", "valid");
const char *const plan_presets[] = {"recommended", "paper", "authors", NULL};
const char *const plan_teacher_kinds[] = {"openai", "local", "command", "recorded", NULL};

#define AT(field) offsetof(struct plan, field)
#define BETWEEN(low, high) .min = (low), .max = (high)

enum {
	OPENAI = 1 << TEACHER_OPENAI, LOCAL = 1 << TEACHER_LOCAL, COMMAND = 1 << TEACHER_COMMAND,
	RECORDED = 1 << TEACHER_RECORDED,
	SOLD = OPENAI | COMMAND, /* its answers may cost money */
};

/* clang-format off */
const struct plan_key plan_keys[] = {
	{"task.type", PLAN_WORD, AT(task.type), .words = task_types, .flags = KEY_REQUIRED,
	 .help = "what the answers are"},
	{"task.train", PLAN_PATH, AT(task.train), .flags = KEY_REQUIRED | KEY_MOVES, .help = "the pool: examples as JSON Lines"},
	{"task.valid", PLAN_PATH, AT(task.valid), .flags = KEY_MOVES, .help = "validation examples"},
	{"task.test", PLAN_PATH, AT(task.test), .flags = KEY_MOVES, .help = "test examples; without them a run reports no scores"},
	{"task.fields.id", PLAN_TEXT, AT(task.fields.id), .help = "key of a row's id, where it is not id"},
	{"task.fields.input", PLAN_TEXT, AT(task.fields.input),
	 .help = "key of the input, where it is neither input nor text"},
	{"task.fields.label", PLAN_TEXT, AT(task.fields.label),
	 .help = "key of the gold answer, where it is none of label, answer, gt_choice"},
	{"task.fields.domain", PLAN_TEXT, AT(task.fields.domain),
	 .help = "key of the domain, where it is neither domain nor source"},
	{"task.fields.choices", PLAN_TEXT, AT(task.fields.choices),
	 .help = "key of the list of choices, where it is not choices"},
	{"task.domains", PLAN_TEXTS, AT(task.domains), .help = "the domains that must be there, no more and no fewer"},
	{"task.head_domains", PLAN_HEAD, AT(task.head_domains), .min = 0, .max = 1e12, .value = "{above: 50}",
	 .help = "the head in reports: a list of names, or domains above so many training examples"},
	{"task.prompts", PLAN_PATH, AT(task.prompts),
	 .flags = KEY_MOVES, .help = "directory of prompt templates, in place of the built-in ones"},
	{"task.keep_duplicates", PLAN_FLAG, AT(task.keep_duplicates), .value = "false",
	 .help = "keep rows of equal input and label"},

	{"method.name", PLAN_METHOD, AT(method.method), .value = "baldistill-adaptive",
	 .help = "how examples are drawn, chosen and made (method: NAME says the same)"},
	{"method.preset", PLAN_WORD, AT(method.preset), .words = plan_presets, .value = "recommended",
	 .help = "values of other keys where they are not written"},
	{"method.first_stage", PLAN_WORD, AT(method.first_stage), .words = first_stages, .value = "random",
	 .help = "who chooses in stage 0: a seeded draw, or the untrained student's IFD"},
	{"method.policy_index_base", PLAN_WHOLE, AT(method.policy_index_base), BETWEEN(0, 1), .value = "0",
	 .help = "the adaptive policy counts stages from 0 or 1"},
	{"method.ifd_filter", PLAN_WORD, AT(method.ifd_filter), .words = ifd_filters, .value = "none",
	 .help = "below_one: leave out examples of IFD 1 or more"},
	{"method.on_wrong_answer", PLAN_WORD, AT(method.on_wrong_answer), .words = wrong_answers,
	 .value = "drop", .paper = "keep", .authors = "drop",
	 .help = "rationales that end in another answer than the gold one"},
	{"method.verify_synthetic", PLAN_WORD, AT(method.verify_synthetic), .words = verifies,
	 .value = "full", .paper = "parse", .authors = "parse",
	 .help = "parse: only what cannot be read drops; full: also wrong labels and copies"},
	{"method.replace_unusable", PLAN_FLAG, AT(method.replace_unusable), .value = "true", .paper = "false",
	 .authors = "false",
	 .help = "ask for another example for a dropped one, where units of the budget are left over"},

	{"budget", PLAN_WHOLE, AT(budget), BETWEEN(1, (double)POLICY_UNITS_MAX), .flags = KEY_REQUIRED | KEY_GROWS,
	 .help = "teacher queries of the whole run, of all kinds"},
	{"stages", PLAN_WHOLE, AT(stages), BETWEEN(1, (double)POLICY_COUNT_MAX), .value = "5",
	 .help = "parts the budget is spent in; a method of one pass takes no notice"},

	{"student.model_name_or_path", PLAN_PATH, AT(student.model_name_or_path), .flags = KEY_REQUIRED | KEY_MOVES,
	 .help = "directory of the base checkpoint"},
	{"student.backend", PLAN_NAME, AT(student.backend), .words = backend_names, .value = "auto",
	 .flags = KEY_CHANGES,
	 .help = "what computes"},
	{"student.dtype", PLAN_DTYPE, AT(student.dtype), .words = dtypes, .value = "bfloat16",
	 .help = "storage of the base weights; the type a GPU computes in"},
	{"student.chat_template", PLAN_NAME, AT(student.chat_template), .words = chats, .value = "none",
	 .help = "none: prompts are plain text; auto: the model's own"},
	{"student.memory", PLAN_SIZE, AT(student.memory), .value = "8GiB", .flags = KEY_CHANGES,
	 .help = "bound of weights and arrays, in bytes (512MiB, 8GiB); 0: none"},
	{"student.slots", PLAN_WHOLE, AT(student.slots), BETWEEN(1, 65536), .value = "64",
	 .help = "completions generated at once; 256 and more fill a GPU"},

	{"selection.max_new_tokens", PLAN_WHOLE, AT(selection.max_new_tokens), BETWEEN(1, 1e6),
	 .value = "200", .authors = "200",
	 .help = "length of the student's rationale, in tokens"},
	{"selection.candidates_per_domain", PLAN_COUNT, AT(selection.candidates_per_domain), BETWEEN(1, 1e12),
	 .value = "all",
	 .help = "examples of a domain that are looked at, a seeded draw, or all"},
	{"selection.ifd_target", PLAN_WORD, AT(selection.ifd_target), .words = ifd_targets, .value = "generated",
	 .help = "IFD of the student's own rationale or of the gold answer"},

	{"training.finetuning_type", PLAN_TRAINING, .value = "lora"},
	{"training.lora_r", PLAN_TRAINING, .value = "8"},
	{"training.lora_alpha", PLAN_TRAINING, .value = "16"},
	{"training.lora_dropout", PLAN_TRAINING, .value = "0.1"},
	{"training.lora_target_modules", PLAN_TRAINING, .value = "[q_proj, v_proj]"},
	{"training.use_rslora", PLAN_TRAINING, .value = "false"},
	{"training.learning_rate", PLAN_TRAINING, .value = "2.0e-4"},
	{"training.weight_decay", PLAN_TRAINING, .value = "0.03"},
	{"training.lr_scheduler_type", PLAN_TRAINING, .value = "linear", .authors = "constant"},
	{"training.warmup_ratio", PLAN_TRAINING, .value = "0", .authors = "0.03"},
	{"training.max_grad_norm", PLAN_TRAINING, .value = "1.0", .authors = "0.3"},
	{"training.num_train_epochs", PLAN_TRAINING, .value = "8"},
	{"training.per_device_train_batch_size", PLAN_TRAINING, .value = "16"},
	{"training.gradient_accumulation_steps", PLAN_TRAINING, .value = "1"},
	{"training.max_length", PLAN_TRAINING, .value = "1024", .authors = "1024"},
	{"training.completion_only_loss", PLAN_TRAINING, .value = "true", .authors = "false"},
	{"training.gradient_checkpointing", PLAN_TRAINING, .value = "false"},

	{"teacher.kind", PLAN_WORD, AT(teacher.kind), .words = plan_teacher_kinds, .value = "openai",
	 .help = "a server of the chat protocol, another checkpoint, a program, or earlier answers"},
	{"teacher.base_url", PLAN_TEXT, AT(teacher.base_url), .flags = KEY_REQUIRED, .kinds = OPENAI,
	 .help = "https://HOST/v1; /chat/completions is added"},
	{"teacher.model", PLAN_TEXT, AT(teacher.model), .flags = KEY_REQUIRED, .kinds = OPENAI,
	 .help = "its name at the server"},
	{"teacher.api_key_env", PLAN_TEXT, AT(teacher.api_key_env), .value = "OPENAI_API_KEY",
	 .flags = KEY_CHANGES | KEY_EMPTY, .kinds = SOLD,
	 .help = "environment variable of the key; left empty: no key. A program is started without it"},
	{"teacher.api_key_file", PLAN_PATH, AT(teacher.api_key_file), .flags = KEY_CHANGES, .kinds = OPENAI,
	 .help = "file of the key, readable by its owner alone; used instead of api_key_env"},
	{"teacher.ca_file", PLAN_PATH, AT(teacher.ca_file), .flags = KEY_CHANGES, .kinds = OPENAI,
	 .help = "certificates (PEM) to trust instead of the system's, of a server that signs its own"},
	{"teacher.max_concurrent_requests", PLAN_WHOLE, AT(teacher.max_concurrent_requests), BETWEEN(1, 1024),
	 .value = "8", .flags = KEY_CHANGES,
	 .help = "queries in flight at once"},
	{"teacher.max_requests_per_minute", PLAN_REAL, AT(teacher.max_requests_per_minute), BETWEEN(0, 1e9),
	 .flags = KEY_CHANGES, .kinds = SOLD,
	 .help = "queries a minute; without it, or 0: no limit"},
	{"teacher.max_tokens_per_minute", PLAN_REAL, AT(teacher.max_tokens_per_minute), BETWEEN(0, 1e12),
	 .flags = KEY_CHANGES, .kinds = SOLD,
	 .help = "tokens a minute, of questions and answers; without it, or 0: no limit"},
	{"teacher.max_tokens", PLAN_WHOLE, AT(teacher.max_tokens), BETWEEN(1, 1e6), .value = "512", .flags = KEY_CHANGES,
	 .help = "longest answer, in tokens; a model's thinking counts"},
	{"teacher.max_tokens_key", PLAN_FLAG, AT(teacher.max_completion_tokens), .words = limit_keys,
	 .value = "max_tokens", .kinds = OPENAI,
	 .help = "its name in a request"},
	{"teacher.temperature.annotate", PLAN_REAL, AT(teacher.temperature_annotate), BETWEEN(0, 2), .value = "0",
	 .help = "of rationales"},
	{"teacher.temperature.synthesise", PLAN_REAL, AT(teacher.temperature_synthesise), BETWEEN(0, 2), .value = "0.9",
	 .help = "of new examples"},
	{"teacher.timeout", PLAN_REAL, AT(teacher.timeout), BETWEEN(1, 86400), .value = "600", .flags = KEY_CHANGES,
	 .help = "seconds for one answer"},
	{"teacher.max_wait", PLAN_REAL, AT(teacher.max_wait), BETWEEN(1, 604800), .value = "600", .flags = KEY_CHANGES,
	 .help = "seconds without progress before a run stops, to be started again"},
	{"teacher.max_retries", PLAN_WHOLE, AT(teacher.max_retries), BETWEEN(0, 100), .value = "3",
	 .flags = KEY_CHANGES,
	 .help = "times a query is asked again; each may cost a unit of the budget"},
	{"teacher.prices.input", PLAN_REAL, AT(teacher.price_input), BETWEEN(0, 1e9), .flags = KEY_CHANGES,
	 .kinds = SOLD | RECORDED,
	 .help = "money for a million tokens of questions"},
	{"teacher.prices.output", PLAN_REAL, AT(teacher.price_output), BETWEEN(0, 1e9), .flags = KEY_CHANGES,
	 .kinds = SOLD | RECORDED,
	 .help = "money for a million tokens of answers"},
	{"teacher.max_cost", PLAN_REAL, AT(teacher.max_cost), BETWEEN(0, 1e12), .flags = KEY_CHANGES, .kinds = SOLD,
	 .help = "money, by these prices, that a run may spend; without it: the budget alone decides"},
	{"teacher.reuse", PLAN_PATH, AT(teacher.reuse), .flags = KEY_CHANGES, .kinds = SOLD,
	 .help = "answers that another run has paid for, as ledger export saves them, taken before any is bought"},
	{"teacher.extra_headers", PLAN_HEADERS, AT(teacher.extra_headers), .value = "{}", .kinds = OPENAI,
	 .help = "HTTP headers of every request"},
	{"teacher.extra_body", PLAN_JSON, AT(teacher.extra_body), .value = "{}", .kinds = OPENAI,
	 .help = "further members of every request"},
	{"teacher.model_name_or_path", PLAN_PATH, AT(teacher.model_name_or_path), .flags = KEY_REQUIRED | KEY_MOVES, .kinds = LOCAL,
	 .help = "directory of the teacher's checkpoint"},
	{"teacher.chat_template", PLAN_NAME, AT(teacher.chat_template), .words = chats, .value = "auto", .kinds = LOCAL,
	 .help = "of the teacher's checkpoint; auto: its own"},
	{"teacher.command", PLAN_COMMAND, AT(teacher.command), .flags = KEY_REQUIRED, .kinds = COMMAND,
	 .help = "[PROGRAM, ARGUMENT, ...], started without a shell"},
	{"teacher.cassette", PLAN_PATH, AT(teacher.cassette), .flags = KEY_REQUIRED, .kinds = RECORDED,
	 .help = "file of earlier answers"},
	{"teacher.on_missing", PLAN_WORD, AT(teacher.on_missing), .words = missings, .value = "error",
	 .kinds = RECORDED,
	 .help = "a query that the cassette does not answer"},
	{"teacher.restrict_pool", PLAN_FLAG, AT(teacher.restrict_pool), .value = "false", .kinds = RECORDED,
	 .help = "draw only from examples that the cassette answers"},

	{"evaluation.stages", PLAN_WORD, AT(evaluation.stages), .words = evaluates, .value = "last",
	 .help = "after which stages the student is scored"},
	{"evaluation.on", PLAN_WORD, AT(evaluation.on), .words = evaluates_on, .value = "test",
	 .help = "on which examples"},
	{"evaluation.max_new_tokens", PLAN_WHOLE, AT(evaluation.max_new_tokens), BETWEEN(1, 1e6),
	 .value = "200", .authors = "200",
	 .help = "length of an answer, in tokens"},
	{"evaluation.bootstrap", PLAN_WHOLE, AT(evaluation.bootstrap), BETWEEN(0, 1e6), .value = "1000",
	 .help = "draws for the 95 % intervals; 0: no intervals"},

	{"export.merged", PLAN_FLAG, AT(merged), .value = "true",
	 .help = "write the whole checkpoint beside the adapter"},

	{"output_dir", PLAN_PATH, AT(output_dir), .value = "run-r52", .flags = KEY_CHANGES, .help = "directory of the run"},
	{"seed", PLAN_SEED, AT(seed), .value = "1", .help = "of everything drawn"},
	{0},
};
/* clang-format on */

const char *plan_key_name(const struct plan_key *key)
{
	const char *dot = strrchr(key->path, '.');
	return dot ? dot + 1 : key->path;
}

const char *plan_key_value(const struct plan_key *key, int64_t preset)
{
	const char *value = preset == PRESET_PAPER ? key->paper : preset == PRESET_AUTHORS ? key->authors : NULL;
	return value ? value : key->value;
}

const struct plan_key *plan_key_find(const char *path)
{
	const struct plan_key *key = plan_keys;
	while (key->path && strcmp(key->path, path))
		key++;
	return key->path ? key : NULL;
}

bool plan_key_is_teacher(const struct plan_key *key)
{
	return !strncmp(key->path, "teacher.", 8);
}

bool plan_key_applies(const struct plan *plan, const struct plan_key *key)
{
	if (!plan_key_is_teacher(key))
		return true;
	return plan->teacher.written && (!key->kinds || key->kinds & 1u << plan->teacher.kind);
}

/* Member of a map, null or not. */
static const struct yaml_node *member(const struct yaml_node *map, const char *name, size_t n)
{
	const struct yaml_node *child = map->kind == YAML_MAP ? map->first : NULL;
	while (child && (strncmp(child->name, name, n) || child->name[n]))
		child = child->next;
	return child;
}

const struct yaml_node *plan_key_written(const struct plan *plan, const struct plan_key *key)
{
	const struct yaml_node *node = plan->overrides ? yaml_find(yaml_root(plan->overrides), key->path) : NULL;
	if (node)
		return node;
	node = yaml_root(plan->doc);
	for (const char *at = key->path; node; ) {
		size_t n = strcspn(at, ".");
		node = member(node, at, n);
		if (!at[n])
			break;
		at += n + 1;
		if (node && node->kind == YAML_SCALAR)
			return key->kind == PLAN_METHOD ? node : NULL;
	}
	return node;
}

const struct yaml_node *plan_key_node(const struct plan *plan, const struct plan_key *key)
{
	const struct yaml_node *node = plan_key_written(plan, key);
	if (node && (node->kind != YAML_NULL || key->flags & KEY_EMPTY))
		return node;
	return yaml_find(yaml_root(plan->defaults), key->path);
}
