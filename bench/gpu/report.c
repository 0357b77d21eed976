// SPDX-License-Identifier: Apache-2.0
/* report.c - lines of figures, for people or as JSON. */
#include <math.h>
#include <stdio.h>

#include "bench/gpu/gpu_bench.h"

/* What every job's setting ends with. */
static const char *beside(const struct options *o)
{
	return o->invariant ? " batch-invariant" : "";
}

static void print_text(const struct options *o, const char *setting, const struct figure *f, size_t n)
{
	printf("%s %s %s%s:", o->model->name, o->job, setting, beside(o));
	for (size_t i = 0; i < n; i++)
		printf("%s %s %.*f%s%s", i ? "," : "", f[i].name, f[i].digits, f[i].value, f[i].unit[0] ? " " : "",
		       f[i].unit);
	printf("\n");
}

static void print_json(const struct options *o, const char *setting, const struct figure *f, size_t n)
{
	printf("{\"arm\": \"ours\", \"backend\": \"%s\", \"model\": \"%s\", \"job\": \"%s\", \"setting\": \"%s%s\"",
	       o->backend, o->model->name, o->job, setting, beside(o));
	for (size_t i = 0; i < n; i++)
		if (isfinite(f[i].value))
			printf(", \"%s\": %.6g", f[i].name, f[i].value);
		else
			printf(", \"%s\": null", f[i].name);
	printf("}\n");
}

void report(const struct options *o, const char *setting, const struct figure *f, size_t n)
{
	(o->json ? print_json : print_text)(o, setting, f, n);
	fflush(stdout);
}

void report_steps(const struct stack *s, const char *setting, const struct times *t, double flops)
{
	double tokens = (double)s->rows, rate = flops * tokens / t->middle;
	REPORT(s->o, setting, {"tokens_s", tokens / t->middle, "", 0}, {"ms", 1e3 * t->middle, "", 2},
	       {"ms_least", 1e3 * t->least, "", 2}, {"ms_most", 1e3 * t->most, "", 2}, {"tflops", 1e-12 * rate, "", 1},
	       {"share", rate / PEAK, "of 790", 3}, {"loss_first", (double)t->first, "", 4},
	       {"loss_last", (double)t->last, "", 4}, {"gb", stack_held(s), "", 2});
}
