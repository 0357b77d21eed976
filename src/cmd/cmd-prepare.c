// SPDX-License-Identifier: Apache-2.0
/* prepare: a dataset from public files or rows of any kind, with its long tail. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/file.h"
#include "src/base/text.h"
#include "src/cmd/cmd.h"
#include "src/cmd/print.h"
#include "src/dataset/chart.h"
#include "src/dataset/collection.h"
#include "src/dataset/examples.h"
#include "src/dataset/grown.h"
#include "src/dataset/math_set.h"
#include "src/dataset/reuters.h"

struct settings {
	const char *output, *set, *type, *test, *heads, *domains, *keep;
	struct example_fields fields;
	double zipf, fraction;
	uint64_t seed, above, draw, draw_test;
	bool drop_duplicates, drop_near;
};

struct prepared {
	struct examples pool, test;
	size_t duplicates;         /* rows of the pool equal to one before them */
	struct example_pair *near; /* pool and test rows that are near one another */
	size_t nears, near_rows;   /* near_rows: pool rows among them */
};

/* ---- sources --------------------------------------------------------------------------------- */

static int prepare_reuters(struct prepared *p, struct settings *s, const char *from, struct err *err)
{
	struct reuters_counts counts;
	bool r90 = !strcmp(s->set, "r90");
	if (!r90 && strcmp(s->set, "r52"))
		return err_set(err, ERR_CONFIG, "'--set' takes r52 or r90, not '%s'", s->set);
	return reuters_load(&p->pool, &p->test, &counts, r90 ? REUTERS_R90 : REUTERS_R52, from, err);
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
	{"reuters", prepare_reuters}, {"math", prepare_math},       {"jsonl", prepare_jsonl},
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
	if (s->zipf != 0 && examples_zipf(&p->pool, s->zipf, s->seed, err))
		return -1;
	if (s->draw && examples_draw(&p->pool, s->draw, s->seed, err))
		return -1;
	return s->draw_test ? examples_draw(&p->test, s->draw_test, s->seed, err) : 0;
}

static int set_heads(struct prepared *p, const struct settings *s, struct err *err)
{
	size_t n = 0;
	examples_head_above(&p->pool, s->above);
	if (!s->heads)
		return 0;
	char *list = mem_strdup(s->heads, err), *rest;
	const char **names = list ? mem_array(strlen(list) + 1, sizeof *names, err) : NULL;
	if (names)
		for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
			names[n++] = name;
	int rc = names ? examples_head_named(&p->pool, names, n, err) : -1;
	free(names);
	free(list);
	return rc;
}

static int work(struct prepared *p, struct settings *s, const struct source *source, const char *from, struct err *err)
{
	if (source->load(p, s, from, err) || handle_duplicates(p, s, err))
		return -1;
	if (s->fraction != 0 && p->test.n)
		return err_set(err, ERR_USAGE, "'--test-fraction' splits one file; this source has a test set already");
	if (s->fraction != 0 && examples_split(&p->test, &p->pool, s->fraction, s->seed, err))
		return -1;
	if (shrink(p, s, err))
		return -1;
	return handle_near(p, s, err) || set_heads(p, s, err) ? -1 : 0;
}

/* ---- files ----------------------------------------------------------------------------------------- */

static int save(const struct examples *examples, const char *directory, const char *name, struct err *err)
{
	char *path = grown_format(err, "%s/%s", directory, name);
	int rc = path ? examples_save(examples, path, err) : -1;
	free(path);
	return rc;
}

static int save_picture(const struct examples *examples, const char *directory, struct err *err)
{
	char *path = grown_format(err, "%s/domains.svg", directory);
	char *picture = path ? chart_domains(examples, "Examples per domain", err) : NULL;
	int rc = picture ? file_save(path, picture, strlen(picture), 0666, err) : -1;
	free(path);
	free(picture);
	return rc;
}

static int save_all(const struct prepared *p, const char *directory, struct err *err)
{
	if (mkdir(directory, 0777) && errno != EEXIST)
		return err_set_errno(err, ERR_CANTCREATE, "cannot create '%s'", directory);
	if (save(&p->pool, directory, "train.jsonl", err) || save_picture(&p->pool, directory, err))
		return -1;
	return p->test.n ? save(&p->test, directory, "test.jsonl", err) : 0;
}

/* ---- the table ---------------------------------------------------------------------------------------- */

static size_t test_rows(const struct prepared *p, const char *domain)
{
	size_t d = examples_find_domain(&p->test, domain);
	return d < p->test.l ? p->test.domain[d].n : 0;
}

static void print_table(const struct prepared *p)
{
	enum { BAR = 40 };
	static const char bar[] = "########################################";
	size_t most = p->pool.l ? p->pool.domain[0].n : 0;
	printf("%-24s %8s %8s       (bars: logarithmic)\n", "domain", "train", "test");
	for (size_t d = 0; d < p->pool.l; d++) {
		const struct example_domain *domain = &p->pool.domain[d];
		char shown[128];
		int length = (int)(BAR * chart_share(domain->n, most) + 0.5);
		printf("%-24s %8zu %8zu  %s %.*s\n",
		       text_escape(shown, sizeof shown, domain->name, strlen(domain->name)), domain->n,
		       test_rows(p, domain->name), domain->head ? "head" : "tail", length, bar);
	}
	printf("%-24s %8zu %8zu\n", "all", p->pool.n, p->test.n);
}

static void print_notes(const struct prepared *p, const struct settings *s)
{
	if (p->duplicates)
		fprintf(stderr, "%zu training rows equal one before them; %s\n", p->duplicates,
			s->drop_duplicates ? "dropped" : "--drop-duplicates removes them");
	if (p->near_rows)
		fprintf(stderr, "%zu training rows are copies or near copies of test rows (%zu pairs); %s\n",
			p->near_rows, p->nears, s->drop_near ? "dropped" : "--drop-near-duplicates removes them");
}

static int print_json(const struct prepared *p, struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 2);
	json_begin_object(&w);
	json_member_uint(&w, "train", p->pool.n);
	json_member_uint(&w, "test", p->test.n);
	json_member_uint(&w, "duplicates", p->duplicates);
	json_member_uint(&w, "near_duplicates", p->near_rows);
	json_put_key(&w, "domains");
	json_begin_array(&w);
	for (size_t d = 0; d < p->pool.l; d++) {
		const struct example_domain *domain = &p->pool.domain[d];
		json_begin_object(&w);
		json_put_key(&w, "domain");
		json_put_string(&w, domain->name, strlen(domain->name));
		json_member_uint(&w, "train", domain->n);
		json_member_uint(&w, "test", test_rows(p, domain->name));
		json_put_key(&w, "class");
		json_put_string(&w, domain->head ? "head" : "tail", 4);
		json_end_object(&w);
	}
	json_end_array(&w);
	json_end_object(&w);
	return print_document(&w, err);
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
	examples_init(&p.pool);
	examples_init(&p.test);
	int rc = work(&p, s, source, args->argv[1], err) || save_all(&p, s->output, err) ? -1 : 0;
	if (!rc && !args->quiet)
		print_notes(&p, s);
	if (!rc && args->json)
		rc = print_json(&p, err);
	else if (!rc)
		print_table(&p);
	free(p.near);
	examples_release(&p.test); /* it borrows from the pool where it was split from it */
	examples_release(&p.pool);
	return rc;
}

static int run(struct arguments *args, struct err *err)
{
	struct settings s = {.set = "r52", .seed = 1, .above = 50};
	const struct option_row rows[] = {
		{"output", OPTION_TEXT, &s.output, "DIR", "where train.jsonl, test.jsonl and domains.svg go"},
		{"set", OPTION_TEXT, &s.set, "NAME", "reuters: r52 or r90 (r52)"},
		{"type", OPTION_TEXT, &s.type, "TYPE", "jsonl: classification, multiple_choice, math or qa"},
		{"test", OPTION_TEXT, &s.test, "FILE", "jsonl: test rows"},
		{"id-field", OPTION_TEXT, &s.fields.id, "KEY", "jsonl: key of the id (id, else the line number)"},
		{"input-field", OPTION_TEXT, &s.fields.input, "KEY", "jsonl: key of the input (input, text)"},
		{"label-field", OPTION_TEXT, &s.fields.label, "KEY",
		 "jsonl: key of the label (label, answer, gt_choice)"},
		{"domain-field", OPTION_TEXT, &s.fields.domain, "KEY", "jsonl: key of the domain (domain, source)"},
		{"choices-field", OPTION_TEXT, &s.fields.choices, "KEY", "jsonl: key of the choices (choices)"},
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
	return prepare(args, &s, err);
}

const struct command cmd_prepare = {"prepare", "make a dataset from public files or your own rows", "SOURCE PATH", run,
				    NEEDS_JSON};
