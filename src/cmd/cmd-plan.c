// SPDX-License-Identifier: Apache-2.0
/* plan: what a run will do and cost, without spending anything. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cmd/cmd.h"
#include "src/cmd/print.h"
#include "src/pipeline/forecast.h"

/* ---- as JSON ----------------------------------------------------------------------------------------------------- */

static void put_stage(struct json_writer *w, const struct forecast *f, const struct allocation *a)
{
	json_begin_object(w);
	json_member_int(w, "stage", a->stage);
	json_member_int(w, "budget", a->budget);
	json_put_key(w, "domains");
	json_begin_array(w);
	for (size_t d = 0; d < a->l; d++) {
		json_begin_object(w);
		json_member_text(w, "domain", f->data.pool.domain[d].name);
		json_member_int(w, "required", a->domain[d].required);
		json_member_int(w, "real", a->domain[d].real);
		json_member_int(w, "synthetic", a->domain[d].synthetic);
		json_member_text(w, "class", a->domain[d].tail ? "tail" : "head");
		json_end_object(w);
	}
	json_end_array(w);
	json_end_object(w);
}

static void put_tokens(struct json_writer *w, const struct forecast *f)
{
	json_put_key(w, "tokens");
	if (!f->has_tokens) {
		json_put_null(w);
		return;
	}
	json_begin_object(w);
	json_member_int(w, "input", llround(f->tokens_in));
	json_member_int(w, "output", llround(f->tokens_out));
	json_end_object(w);
}

static int print_json(const struct forecast *f, struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	json_put_key(&w, "stages");
	json_begin_array(&w);
	for (int64_t k = 0; k < f->stages; k++)
		put_stage(&w, f, &f->stage[k]);
	json_end_array(&w);
	json_put_key(&w, "queries");
	json_begin_object(&w);
	json_member_int(&w, "annotate", f->annotate);
	json_member_int(&w, "synthesise", f->synthesise);
	json_member_int(&w, "total", f->annotate + f->synthesise);
	json_end_object(&w);
	put_tokens(&w, f);
	json_member_known(&w, "cost", f->cost, f->cost >= 0);
	json_member_known(&w, "memory", (double)f->memory, f->has_probe);
	json_member_known(&w, "seconds", f->seconds, f->has_probe);
	json_end_object(&w);
	return print_document(&w, err);
}

/* ---- as a table --------------------------------------------------------------------------------------------------- */

static void print_allocation(const struct forecast *f)
{
	printf("%-24s %8s", "domain", "pool");
	for (int64_t k = 0; k < f->stages; k++)
		printf("    stage %lld", (long long)k);
	puts("\n");
	for (size_t d = 0; d < f->data.pool.l; d++) {
		const struct example_domain *domain = &f->data.pool.domain[d];
		print_name(domain->name, strlen(domain->name));
		printf(" %8zu", domain->n);
		for (int64_t k = 0; k < f->stages; k++) {
			const struct allocation_domain *a = &f->stage[k].domain[d];
			char cell[48];
			if (a->synthetic || a->repeated)
				snprintf(cell, sizeof cell, "%lld+%lld", (long long)a->real, (long long)(a->synthetic + a->repeated));
			else
				snprintf(cell, sizeof cell, "%lld", (long long)a->real);
			printf(" %10s", cell);
		}
		putchar('\n');
	}
}

static void print_table(const struct forecast *f)
{
	char left[32];
	print_allocation(f);
	printf("\nreal examples; behind a plus sign what the teacher writes or a method repeats\n\n");
	printf("queries    %lld: %lld annotate, %lld synthesise\n", (long long)(f->annotate + f->synthesise), (long long)f->annotate,
	       (long long)f->synthesise);
	if (f->has_tokens)
		printf("tokens     %.0f in, at most %.0f out\n", f->tokens_in, f->tokens_out);
	if (f->cost >= 0)
		printf("cost       at most %.4f\n", ceil(f->cost * 1e4) / 1e4);
	printf("student    answers %lld rows to select and %lld to evaluate, learns from %lld rows an epoch\n",
	       (long long)f->candidates, (long long)f->evaluated, (long long)f->trained);
	if (f->has_probe)
		printf("memory     %.0f MiB\ntime       about %s, and what the teacher takes\n", (double)f->memory / (1 << 20),
		       progress_duration(left, sizeof left, f->seconds));
}

/* ---- the command ---------------------------------------------------------------------------------------------------- */

static int print_defaults(struct err *err)
{
	char *text = plan_defaults(err);
	if (text)
		fputs(text, stdout);
	free(text);
	return text ? 0 : -1;
}

static int forecast(struct arguments *args, struct err *err)
{
	const struct voice voice = {.say = print_note, .context = args};
	struct plan plan;
	struct forecast f;
	if (plan_load(&plan, args->argv[0], err))
		return -1;
	int rc = forecast_make(&f, &plan, &voice, err);
	if (!rc) {
		if (args->json)
			rc = print_json(&f, err);
		else
			print_table(&f);
		forecast_release(&f);
	}
	plan_release(&plan);
	return rc;
}

static int run(struct arguments *args, struct err *err)
{
	bool defaults = false;
	const struct option_row rows[] = {
		{"defaults", OPTION_FLAG, &defaults, NULL, "print a commented plan with every key and its default"},
		{0},
	};
	int go = options_parse(&cmd_plan, rows, args, err);
	if (go <= 0)
		return go;
	if (options_expect(&cmd_plan, args, defaults ? 0 : 1, defaults ? 0 : 1, err))
		return -1;
	return defaults ? print_defaults(err) : forecast(args, err);
}

const struct command cmd_plan = {"plan", "what a run will do and cost; spends nothing", "PLAN", run, NEEDS_JSON};
