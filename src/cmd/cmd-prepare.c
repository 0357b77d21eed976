// SPDX-License-Identifier: Apache-2.0
/* prepare: a dataset from public files or rows of any kind, with its long tail. */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/grown.h"
#include "src/base/text.h"
#include "src/cmd/cmd.h"
#include "src/cmd/prepare.h"
#include "src/dataset/collection.h"
#include "src/dataset/examples.h"
#include "src/dataset/math_set.h"
#include "src/dataset/reuters.h"

struct settings {
	const char *output, *set, *type, *test, *heads, *domains, *keep;
	struct example_fields fields;
	double zipf, fraction;
	uint64_t seed, above, draw, draw_test;
	bool drop_duplicates, drop_near;
};

static const double not_given = -DBL_MAX; /* a number that nobody means */
static const uint64_t all_rows = UINT64_MAX;

/* ---- sources --------------------------------------------------------------------------------- */

static int prepare_reuters(struct prepared *p, struct settings *s, const char *from, struct err *err)
{
	bool r90 = s->set && !strcmp(s->set, "r90");
	if (s->set && !r90 && strcmp(s->set, "r52"))
		return err_set(err, ERR_CONFIG, "'--set' takes r52 or r90, not '%s'", s->set);
	return reuters_load(&p->pool, &p->test, r90 ? REUTERS_R90 : REUTERS_R52, from, err);
}

static int prepare_math(struct prepared *p, struct settings *s, const char *from, struct err *err)
{
	(void)s;
	return math_set_load(&p->pool, &p->test, from, err);
}

static int prepare_jsonl(struct prepared *p, struct settings *s, const char *from, struct err *err)
{
	enum answer_type type;
	if (!s->type)
		return err_set(err, ERR_USAGE, "'prepare jsonl' needs --type; see 'baldistill prepare --help'");
	if (answer_type_parse(&type, s->type, err) || examples_load(&p->pool, from, type, &s->fields, err))
		return -1;
	return s->test ? examples_load(&p->test, s->test, type, &s->fields, err) : 0;
}

static int prepare_mcqa(struct prepared *p, struct settings *s, const char *from, struct err *err)
{
	return collection_load(&p->pool, &p->test, ANSWER_CHOICE, from, s->domains, err);
}

static int prepare_absqa(struct prepared *p, struct settings *s, const char *from, struct err *err)
{
	return collection_load(&p->pool, &p->test, ANSWER_QA, from, s->domains, err);
}

static const struct source {
	const char *name;
	int (*load)(struct prepared *p, struct settings *s, const char *from, struct err *err);
} sources[] = {
	{"reuters", prepare_reuters}, {"math", prepare_math},   {"jsonl", prepare_jsonl},
	{"mcqa", prepare_mcqa},       {"absqa", prepare_absqa},
};

static const struct source *find_source(const char *name, struct err *err)
{
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
		if (!strcmp(sources[i].name, name))
			return &sources[i];
	err_set(err, ERR_USAGE, "unknown source '%s'; sources are reuters, math, jsonl, mcqa and absqa", name);
	return NULL;
}

/* An option of another source would be passed over without a word. */
static int expect_own_options(const struct settings *s, const char *source, struct err *err)
{
	const struct {
		const char *option, *value, *sources;
	} all[] = {
		{"set", s->set, "reuters"},
		{"type", s->type, "jsonl"},
		{"test", s->test, "jsonl"},
		{"id-field", s->fields.id, "jsonl"},
		{"input-field", s->fields.input, "jsonl"},
		{"label-field", s->fields.label, "jsonl"},
		{"domain-field", s->fields.domain, "jsonl"},
		{"choices-field", s->fields.choices, "jsonl"},
		{"domain", s->domains, "mcqa and absqa"},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i].value && !strstr(all[i].sources, source))
			return err_set(err, ERR_USAGE, "'--%s' is for %s; 'prepare %s' has no use for it",
				       all[i].option, all[i].sources, source);
	return 0;
}

/* What each source reads and an output could overwrite; the rest cannot have an output's name. */
static int spare_inputs(const struct settings *s, const char *source, const char *from, struct err *err)
{
	static const struct {
		const char *source, *below;
	} files[] = {
		{"jsonl", ""},
		{"math", "/train.jsonl"},
		{"math", "/test.jsonl"},
		{"mcqa", "/train/train.jsonl"},
		{"mcqa", "/train/test.jsonl"},
		{"mcqa", "/test/train.jsonl"},
		{"mcqa", "/test/test.jsonl"},
		{"absqa", "/train/train.jsonl"},
		{"absqa", "/train/test.jsonl"},
		{"absqa", "/test/train.jsonl"},
		{"absqa", "/test/test.jsonl"},
	};
	int rc = s->test ? prepare_spare(s->output, s->test, err) : 0;
	for (size_t i = 0; !rc && i < sizeof files / sizeof *files; i++) {
		if (strcmp(files[i].source, source))
			continue;
		char *path = grown_format(err, "%s%s", from, files[i].below);
		rc = path ? prepare_spare(s->output, path, err) : -1;
		free(path);
	}
	return rc;
}

/* ---- the work ----------------------------------------------------------------------------------- */

/* Counted always, dropped where asked for. */
static int handle_duplicates(struct prepared *p, const struct settings *s, struct err *err)
{
	if (s->drop_duplicates)
		return examples_drop_duplicates(&p->pool, &p->duplicates, err);
	return examples_count_duplicates(&p->pool, &p->duplicates, err);
}

static int handle_near(struct prepared *p, const struct settings *s, struct err *err)
{
	if (!p->test.n)
		return 0;
	if (examples_near(&p->near, &p->nears, &p->pool, &p->test, err))
		return -1;
	bool *drop = mem_array(p->pool.n, sizeof *drop, err);
	for (size_t i = 0; drop && i < p->nears; i++) {
		p->near_rows += !drop[p->near[i].pool];
		drop[p->near[i].pool] = true;
	}
	int rc = !drop || (s->drop_near && examples_remove(&p->pool, drop, err)) ? -1 : 0;
	free(drop);
	return rc;
}

/* Shares of single domains first: the long tail is measured by what they leave. */
static int shrink(struct prepared *p, const struct settings *s, struct err *err)
{
	if (s->keep && examples_keep(&p->pool, s->keep, s->seed, err))
		return -1;
	if (s->zipf != not_given && examples_zipf(&p->pool, s->zipf, s->seed, err))
		return -1;
	if (s->draw != all_rows && examples_draw(&p->pool, s->draw, s->seed, err))
		return -1;
	return s->draw_test != all_rows ? examples_draw(&p->test, s->draw_test, s->seed, err) : 0;
}

static int set_heads(struct prepared *p, const struct settings *s, struct err *err)
{
	examples_head_above(&p->pool, s->above);
	if (!s->heads || !examples_head_listed(&p->pool, s->heads, err))
		return 0;
	if (err->code == ERR_DATA)
		err->code = ERR_CONFIG;
	return err_prefix(err, "'--head-domains'");
}

static int work(struct prepared *p, struct settings *s, const struct source *source, const char *from, struct err *err)
{
	if (source->load(p, s, from, err) || handle_duplicates(p, s, err))
		return -1;
	if (s->fraction != not_given && p->test.n)
		return err_set(err, ERR_USAGE, "'--test-fraction' splits one file; this source has a test set already");
	if (s->fraction != not_given && examples_split(&p->test, &p->pool, s->fraction, s->seed, err))
		return -1;
	if (shrink(p, s, err))
		return -1;
	if (handle_near(p, s, err))
		return -1;
	if (!p->pool.n)
		return err_set(err, ERR_DATA, "%s: no training row is left", from);
	if (examples_expect_ids(&p->pool, err) || examples_expect_ids(&p->test, err))
		return -1;
	return set_heads(p, s, err);
}

/* ---- the command --------------------------------------------------------------------------------------- */

static int prepare(const struct arguments *args, struct settings *s, struct err *err)
{
	struct prepared p = {0};
	const struct source *source = find_source(args->argv[0], err);
	if (!source)
		return -1;
	if (!s->output)
		return err_set(err, ERR_USAGE, "'prepare' needs --output; see 'baldistill prepare --help'");
	if (expect_own_options(s, source->name, err) || spare_inputs(s, source->name, args->argv[1], err))
		return -1;
	examples_init(&p.pool);
	examples_init(&p.test);
	int rc = work(&p, s, source, args->argv[1], err) || prepare_save(&p, s->output, err) ? -1 : 0;
	if (!rc && !args->quiet)
		prepare_print_notes(&p, s->drop_duplicates, s->drop_near);
	if (!rc && args->json)
		rc = prepare_print_json(&p, err);
	else if (!rc)
		prepare_print(&p);
	free(p.near);
	examples_release(&p.test); /* it borrows from the pool where it was split from it */
	examples_release(&p.pool);
	return rc;
}

static int run(struct arguments *args, struct err *err)
{
	struct settings s = {.zipf = not_given,
			     .fraction = not_given,
			     .draw = all_rows,
			     .draw_test = all_rows,
			     .seed = 1,
			     .above = UINT64_MAX};
	const struct option_row rows[] = {
		{"output", OPTION_TEXT, &s.output, "DIR", "where train.jsonl, test.jsonl and domains.svg go"},
		{"set", OPTION_TEXT, &s.set, "NAME", "reuters: r52 or r90 (r52)"},
		{"type", OPTION_TEXT, &s.type, "TYPE", "jsonl: classification, multiple_choice, math or qa"},
		{"test", OPTION_TEXT, &s.test, "FILE", "jsonl: test rows"},
		FIELD_OPTIONS(&s.fields, "jsonl: "),
		{"domain", OPTION_TEXT, &s.domains, "NAME=FILE,...",
		 "mcqa, absqa: files below train/ and test/ and their domains (all, by their names)"},
		{"test-fraction", OPTION_REAL, &s.fraction, "F",
		 "share of each domain's rows to put into the test set"},
		{"keep", OPTION_TEXT, &s.keep, "NAME=SHARE,...", "keep a share of a domain's training rows: Race=1/3"},
		{"zipf", OPTION_REAL, &s.zipf, "ALPHA", "cut the domain at rank j to n_1 * j^-ALPHA training rows"},
		{"draw", OPTION_NUMBER, &s.draw, "N", "keep N training rows of all"},
		{"draw-test", OPTION_NUMBER, &s.draw_test, "N", "keep N test rows of all"},
		{"seed", OPTION_NUMBER, &s.seed, "N", "what is drawn (1)"},
		{"head-above", OPTION_NUMBER, &s.above, "N", "domains of more training rows are the head (50)"},
		{"head-domains", OPTION_TEXT, &s.heads, "NAME,...", "the head by name"},
		{"drop-duplicates", OPTION_FLAG, &s.drop_duplicates, NULL, "keep one of equal training rows"},
		{"drop-near-duplicates", OPTION_FLAG, &s.drop_near, NULL, "drop training rows near a test row"},
		{0},
	};
	int go = options_parse(&cmd_prepare, rows, args, err);
	if (go <= 0)
		return go;
	if (options_expect(&cmd_prepare, args, 2, 2, err))
		return -1;
	if (s.heads && s.above != UINT64_MAX)
		return err_set(err, ERR_USAGE, "'--head-above' and '--head-domains' exclude one another");
	s.above = s.above != UINT64_MAX ? s.above : 50;
	return prepare(args, &s, err);
}

const struct command cmd_prepare = {"prepare", "make a dataset from public files or your own rows", "SOURCE PATH", run,
				    NEEDS_JSON};
