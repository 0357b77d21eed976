// SPDX-License-Identifier: Apache-2.0
/*
 * plan.h - one YAML file says everything about a run (DESIGN section 5, man
 * page baldistill-plan(5)).
 *
 *     struct plan plan;
 *     if (plan_load(&plan, "plan.yaml", &err))             // ERR_CONFIG with FILE:LINE
 *             return -1;
 *     … plan.budget, plan.training.options.learning_rate …
 *     plan_release(&plan);
 *
 * Keys, defaults, bounds, words, help and what the presets set stand in one
 * table (plan_keys.c; those of `training` in src/student/train_config.h). An
 * unknown key is an error, with a suggestion where one is near. A written key
 * wins over the preset, the preset over the default. Paths are as the program
 * opens them: relative ones start at the plan file's directory.
 *
 * plan_load checks what can be checked without opening anything named in it.
 */
#ifndef BALDISTILL_PIPELINE_PLAN_H
#define BALDISTILL_PIPELINE_PLAN_H

#include "src/base/hash.h"
#include "src/base/jsonio.h"
#include "src/base/mem.h"
#include "src/base/yamlio.h"
#include "src/dataset/examples.h"
#include "src/pipeline/method.h"
#include "src/student/train_config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Word lists of choices, in the order of DESIGN section 5: the first is the default. */
enum plan_preset { PRESET_RECOMMENDED, PRESET_PAPER, PRESET_AUTHORS };
enum plan_first_stage { FIRST_RANDOM, FIRST_IFD };
enum plan_ifd_filter { IFD_ALL, IFD_BELOW_ONE };
enum plan_wrong_answer { WRONG_DROP, WRONG_KEEP };
enum plan_verify { VERIFY_FULL, VERIFY_PARSE };
enum plan_ifd_target { TARGET_GENERATED, TARGET_GOLD };
enum plan_teacher_kind { TEACHER_OPENAI, TEACHER_LOCAL, TEACHER_COMMAND, TEACHER_RECORDED };
enum plan_missing { MISSING_ERROR, MISSING_SKIP };
enum plan_evaluate { EVALUATE_LAST, EVALUATE_ALL, EVALUATE_NONE };
enum plan_evaluate_on { EVALUATE_TEST, EVALUATE_VALID };

/* A list of texts; list NULL: the key is not written. */
struct plan_list {
	const char **list;
	size_t n;
};

/* A map of names to JSON values (extra_body) or texts (extra_headers), in file order. */
struct plan_pair {
	const char *name, *value; /* value: a text, or JSON for extra_body */
	bool secret, key;         /* a header with a variable in it; one whose name says that it carries a key */
};
struct plan_map {
	struct plan_pair *pair;
	size_t n;
};

struct plan_task {
	int64_t type; /* enum answer_type */
	const char *train, *valid, *test; /* NULL: none */
	struct example_fields fields;
	struct plan_list domains;      /* that must be there */
	struct plan_list head_domains; /* by name; list NULL: those above `head_above` examples */
	int64_t head_above;
	const char *prompts;           /* directory; NULL: built in */
	bool keep_duplicates;
};

struct plan_method {
	const struct method *method;
	int64_t preset, first_stage, policy_index_base, ifd_filter, on_wrong_answer, verify_synthetic;
	bool replace_unusable;
};

struct plan_student {
	const char *model_name_or_path, *backend, *chat_template; /* chat_template "none": plain prompts */
	enum dtype dtype;
	uint64_t memory; /* 0: none */
	int64_t slots;
};

struct plan_selection {
	int64_t max_new_tokens;
	int64_t candidates_per_domain; /* 0: all */
	int64_t ifd_target;
};

struct plan_teacher {
	bool written; /* there is a `teacher:` in the plan */
	int64_t kind;
	const char *base_url, *model, *api_key_env, *api_key_file; /* api_key_env "": no key, or that of the file */
	const char *ca_file; /* NULL: the system's */
	const char *reuse;   /* a cassette whose answers serve here too; NULL: none */
	int64_t max_concurrent_requests;
	double max_requests_per_minute, max_tokens_per_minute; /* 0: no limit */
	int64_t max_tokens;
	bool max_completion_tokens; /* max_tokens_key */
	double temperature_annotate, temperature_synthesise;
	double timeout, max_wait;
	int64_t max_retries;
	double price_input, price_output; /* per million tokens; -1: not known */
	double max_cost;                  /* -1: none */
	struct plan_map extra_headers;
	struct json *extra_body; /* an object; NULL: none */
	const char *model_name_or_path, *chat_template; /* local */
	struct plan_list command;       /* list ends with NULL */
	const char *cassette;
	int64_t on_missing;
	bool restrict_pool;
};

struct plan_evaluation {
	int64_t stages, on, max_new_tokens, bootstrap;
};

struct plan {
	const char *path; /* borrowed */
	struct plan_task task;
	struct plan_method method;
	int64_t budget, stages;
	struct plan_student student;
	struct plan_selection selection;
	struct train_config training; /* checked; its seed and memory are the plan's */
	struct plan_teacher teacher;
	struct plan_evaluation evaluation;
	bool merged;
	const char *output_dir;
	uint64_t seed;
	char *resolved; /* the whole plan as YAML, every key, ${VAR} as written; what the run directory keeps */
	struct arena arena; /* texts and lists */
	struct yaml *doc, *defaults; /* as written; what the preset and the defaults say */
	struct yaml *overrides;      /* what plan_load_variant puts in place of what is written; NULL: nothing */
};

int plan_load(struct plan *plan, const char *path, struct err *err);
/* The same with another method and seed, its output_dir in METHOD/SEED below the plan's own. */
int plan_load_variant(struct plan *plan, const char *path, const char *method, uint64_t seed, struct err *err);
void plan_release(struct plan *plan);

/* The commented file with every key and its default that `plan --defaults` prints; released with free(). */
char *plan_defaults(struct err *err);

/* What is allowed and yet worth telling. */
struct plan_changes {
	bool backend;      /* results may differ in their last digits */
	const char *moved; /* a key whose file or directory has another path, which must have the same content; NULL: none */
};

/*
 * May a run that was begun with `before` (the resolved text in its directory)
 * go on with this plan? The budget may grow; limits, prices, the key and the
 * backend may change, and files move. Anything else is ERR_CONFIG naming the
 * key and both values.
 */
int plan_compare(const struct plan *plan, const char *before, struct plan_changes *changes, struct err *err);

/* SHA-256 of all keys that may not change between starts: what the ledger holds a run to. */
int plan_hash(unsigned char digest[HASH_SIZE], const struct plan *plan, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
