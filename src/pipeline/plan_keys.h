// SPDX-License-Identifier: Apache-2.0
/*
 * plan_keys.h - private to plan*.c: the table of all keys, and what is done
 * with one of them.
 *
 * A key's effective value is a YAML node: the written one, else that of a
 * document made from the table (preset's value, else the default). Reading,
 * comparing, hashing and writing all start from it, so they cannot disagree.
 */
#ifndef BALDISTILL_PIPELINE_PLAN_KEYS_H
#define BALDISTILL_PIPELINE_PLAN_KEYS_H

#include "src/base/grown.h"
#include "src/pipeline/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

enum plan_kind {
	PLAN_TEXT,     /* const char *; not empty */
	PLAN_NAME,     /* const char *, one of `words` or the default */
	PLAN_PATH,     /* const char *; a relative one starts at the plan's directory */
	PLAN_WORD,     /* int64_t: index in `words` */
	PLAN_WHOLE,    /* int64_t from min to max */
	PLAN_COUNT,    /* the same, or `all`, which is 0 */
	PLAN_REAL,     /* double from min to max */
	PLAN_FLAG,     /* bool */
	PLAN_SIZE,     /* uint64_t bytes */
	PLAN_SEED,     /* uint64_t */
	PLAN_DTYPE,    /* enum dtype */
	PLAN_METHOD,   /* const struct method * */
	PLAN_TEXTS,    /* struct plan_list */
	PLAN_COMMAND,  /* the same, not empty, ended by NULL; a program with a slash is a path */
	PLAN_HEAD,     /* task.head_domains */
	PLAN_HEADERS,  /* struct plan_map */
	PLAN_JSON,     /* struct json * */
	PLAN_TRAINING, /* a key of train_config.h, which has its bounds and words */
	PLAN_KINDS,
};

enum plan_key_flags {
	KEY_REQUIRED = 1, /* of a teacher: for the kinds it belongs to */
	KEY_CHANGES = 2,  /* may differ from one start of a run to the next */
	KEY_GROWS = 4,
	KEY_MOVES = 16,   /* a path: may differ likewise, as a run is held to what lies there */
	KEY_EMPTY = 8,    /* written without a value it is the empty text, not the default */
};

struct plan_key {
	const char *path; /* "teacher.prices.input" */
	enum plan_kind kind;
	size_t at; /* in struct plan */
	double min, max;
	const char *const *words;
	const char *value;           /* default as YAML; NULL: none */
	const char *paper, *authors; /* what the presets make of it; NULL: the default */
	unsigned flags;
	unsigned kinds; /* of a teacher's key: 1 << enum plan_teacher_kind, or-ed; 0: all */
	const char *help;
};

/* In the order of a plan; ended by a row without a path. */
extern const struct plan_key plan_keys[];
extern const char *const plan_presets[], *const plan_teacher_kinds[];

/* The last word of its path. */
const char *plan_key_name(const struct plan_key *key);
/* The value under a preset, as YAML; NULL: none. */
const char *plan_key_value(const struct plan_key *key, int64_t preset);
const struct plan_key *plan_key_find(const char *path);
bool plan_key_is_teacher(const struct plan_key *key);

/* Has the key a meaning here? Not without a teacher, or where it belongs to another kind of teacher. */
bool plan_key_applies(const struct plan *plan, const struct plan_key *key);
/* As written, null included; NULL where it is not. */
const struct yaml_node *plan_key_written(const struct plan *plan, const struct plan_key *key);
/* The effective value; NULL: none. */
const struct yaml_node *plan_key_node(const struct plan *plan, const struct plan_key *key);

/* plan_value.c: a node into its field. */
int plan_key_read(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err);
/* A file's name as the program opens it, owned by the plan. */
const char *plan_beside(struct plan *plan, const char *name, struct err *err);
static inline void *plan_field(struct plan *plan, const struct plan_key *key)
{
	return (char *)plan + key->at;
}

/* plan_lists.c: PLAN_TEXTS, PLAN_COMMAND, PLAN_HEAD. */
int plan_texts_read(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err);
int plan_command_read(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err);
int plan_head_read(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err);

/* plan_meaning.c: the effective value as one JSON value, the same for the same meaning. */
void plan_key_put(struct json_writer *w, const struct plan *plan, const struct plan_key *key);

/* plan_extra.c: maps handed on to a teacher. */
int plan_headers_read(struct plan *plan, struct plan_map *map, const struct yaml_node *node, struct err *err);
int plan_json_read(struct json **json, const struct yaml_node *node, struct err *err);

/* plan_names.c: no key is unknown. */
int plan_check_names(const struct yaml_node *root, struct err *err);
/* A key whose name says that its value is a secret. */
bool plan_is_secret(const char *name);

/* plan_check.c: what single keys cannot say. */
int plan_check(struct plan *plan, struct err *err);

/* plan_text.c: all effective values as a plan; released with free(). */
char *plan_text(const struct plan *plan, struct err *err);
/* A node in one line, as written. */
void plan_put_flow(struct grown *out, const struct yaml_node *node);
/* Start the maps around a key that the key before it (NULL: none) did not stand in; returns its indentation. */
int plan_put_sections(struct grown *out, const struct plan_key *before, const struct plan_key *key);

/* plan.c: a plan from a document, which it takes in every case; NULL: reading it has failed. err is not NULL. */
int plan_read(struct plan *plan, struct yaml *doc, struct yaml *overrides, const char *path, struct err *err);
/* What a plan's texts brought into the message: escaped, and no second line. */
void plan_one_line(struct err *err);

/* "FILE:LINE: " of a node, or of its key, in front of the message already there. */
int plan_refuse(const struct yaml_node *node, struct err *err);
int plan_refuse_key(const struct yaml_node *node, struct err *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
#endif
