// SPDX-License-Identifier: Apache-2.0
/*
 * bench: the speed of each job beside the machine's own roofs.
 *
 * `bench kernels` measures every operation at the layer shapes of three
 * students. The best product rate any library here reaches is found by running
 * the program itself once per library and OpenBLAS core type (`bench
 * products`), because OpenBLAS chooses its kernels before main. `bench score`
 * and `bench decode` measure a student of the user's: --model DIR.
 */
#include <stdio.h>
#include <string.h>

#include "src/cmd/bench.h"
#include "src/cmd/job.h"
#include "src/cmd/print.h"
#include "src/model/directory.h"

struct options {
	const char *backend, *model, *only, *dtype;
	uint64_t threads, slots, length, steps, runs;
};

/* Everything one `bench kernels` prints. */
struct report {
	bool json;
	struct json_writer w;
	const struct bench_products *products;
	const char *model; /* of the last row printed */
	size_t rows;
};

/* Rows are judged by the best library: our own product's share of it stands here. */
static double best_over_own(const struct bench_products *products)
{
	return products->own.rate > 0 && products->best > products->own.rate ? products->best / products->own.rate : 1;
}

static void json_row(struct json_writer *w, const struct measure_row *row, double roof)
{
	json_begin_object(w);
	json_member_text(w, "model", row->model);
	json_member_text(w, "operation", row->name);
	json_member_text(w, "shape", row->shape);
	json_member_double(w, "seconds", row->seconds);
	json_member_double(w, "gflops", row->flops / row->seconds * 1e-9);
	json_member_double(w, "gbytes_per_second", row->bytes / row->seconds * 1e-9);
	json_member_text(w, "judged_by", row->by_bytes ? "bytes" : "flops");
	json_member_double(w, "roof", roof * 1e-9);
	json_member_double(w, "share", (row->by_bytes ? row->bytes : row->flops) / row->seconds / roof);
	json_end_object(w);
}

static void text_row(struct report *r, const struct measure_row *row, double roof)
{
	double rate = (row->by_bytes ? row->bytes : row->flops) / row->seconds;
	if (r->model != row->model)
		printf("\n%s\n  %-22s %-34s %10s %10s %9s %6s\n", row->model, "operation", "shape", "ms", "GFLOP/s",
		       "GB/s", "roof");
	r->model = row->model;
	printf("  %-22s %-34s %10.3f", row->name, row->shape, row->seconds * 1e3);
	if (row->by_bytes)
		printf(" %10s", "-");
	else
		printf(" %10.1f", row->flops / row->seconds * 1e-9);
	printf(" %9.1f %5.0f%%\n", row->bytes / row->seconds * 1e-9, 100 * rate / roof);
	fflush(stdout);
}

static void visit(void *context, const struct measure_row *row)
{
	struct report *r = context;
	r->rows++;
	double roof = row->by_bytes ? row->roof : row->roof * best_over_own(r->products);
	if (r->json)
		json_row(&r->w, row, roof);
	else
		text_row(r, row, roof);
}

static void json_roofs(struct json_writer *w, const struct bench_products *products, double read, double copy)
{
	json_put_key(w, "roofs");
	json_begin_object(w);
	json_member_double(w, "read_gbytes_per_second", read * 1e-9);
	json_member_double(w, "copy_gbytes_per_second", copy * 1e-9);
	json_put_key(w, "products");
	json_begin_array(w);
	for (int i = 0; i < products->n; i++) {
		json_begin_object(w);
		json_member_text(w, "backend", products->row[i].backend);
		json_member_text(w, "core", products->row[i].core);
		json_member_text(w, "dtype", products->row[i].dtype);
		json_member_double(w, "gflops", products->row[i].rate * 1e-9);
		json_end_object(w);
	}
	json_end_array(w);
	json_end_object(w);
}

static void text_roofs(const struct bench_products *products, double read, double copy)
{
	printf("read %.1f GB/s, copy %.1f GB/s (read and written)\n", read * 1e-9, copy * 1e-9);
	for (int i = 0; i < products->n; i++)
		printf("product %d^3 %s, %s %s: %.0f GFLOP/s\n", MEASURE_PRODUCT, products->row[i].dtype,
		       products->row[i].backend, products->row[i].core, products->row[i].rate * 1e-9);
}

static int check_model(const char *name, struct err *err)
{
	const struct measure_model *m = measure_models;
	while (name && m->name && strcmp(m->name, name))
		m++;
	return m->name ? 0 : err_set(err, ERR_CONFIG, "'--model' takes SmolLM2-135M, TinyLlama-1.1B or Llama-3-8B, not '%s'", name);
}

/* Before a minute of measuring: can it be opened? */
static int check_backend(const char *name, struct err *err)
{
	struct device *dev = backend_open(name, &(struct device_options){0}, err);
	backend_close(dev);
	return dev ? 0 : -1;
}

static int measure_models_of(struct measure *measure, const struct options *o, struct report *r, struct err *err)
{
	for (const struct measure_model *m = measure_models; m->name; m++)
		if ((!o->model || !strcmp(o->model, m->name)) && measure_run(measure, m, o->only, visit, r, err))
			return -1;
	return r->rows ? 0 : err_set(err, ERR_CONFIG, "'--only': no operation's name holds '%s'", o->only);
}

static int finish_json(struct report *r, struct err *err)
{
	json_end_array(&r->w);
	json_end_object(&r->w);
	return print_document(&r->w, err);
}

static int kernels_on(struct measure *measure, const struct options *o, struct report *r, struct err *err)
{
	double read = measure_median(measure, measure_read, 5), copy = measure_median(measure, measure_copy, 5);
	if (!r->json) {
		text_roofs(r->products, read, copy);
		return measure_models_of(measure, o, r, err);
	}
	json_writer_init(&r->w, 1);
	json_begin_object(&r->w);
	json_member_text(&r->w, "backend", measure->dev->name);
	json_roofs(&r->w, r->products, read, copy);
	json_put_key(&r->w, "rows");
	json_begin_array(&r->w);
	int rc = measure_models_of(measure, o, r, err) || finish_json(r, err) ? -1 : 0;
	json_writer_release(&r->w);
	return rc;
}

static int read_dtype(enum dtype *dtype, const struct options *o, struct err *err)
{
	return job_read_dtype(o->dtype ? o->dtype : "float32", dtype, err);
}

/* Open the backend, measure what `with` says, close. */
static int with_measure(const struct options *o, struct report *r,
			int (*with)(struct measure *, const struct options *, struct report *, struct err *),
			struct err *err)
{
	struct device_options options = {.threads = (int)o->threads};
	struct measure measure;
	if (read_dtype(&options.dtype, o, err))
		return -1;
	struct device *dev = backend_open(o->backend, &options, err);
	if (!dev && err->code == ERR_CONFIG && options.dtype != DTYPE_F32) { /* it does not multiply that here */
		options.dtype = DTYPE_F32;
		dev = backend_open(o->backend, &options, err);
	}
	if (!dev)
		return -1;
	int rc = measure_init(&measure, dev, backend_of(dev), options.dtype, err);
	if (!rc) {
		rc = with(&measure, o, r, err);
		measure_release(&measure);
	}
	backend_close(dev);
	return rc;
}

static int products_on(struct measure *measure, const struct options *o, struct report *r, struct err *err)
{
	(void)o;
	struct backend_info info;
	backend_probe(measure->dev->name, &info);
	double rate = measure_median(measure, measure_product, 5);
	const char *dtype = job_dtype_word(measure->dtype);
	if (!r->json) {
		printf("product %d^3 %s, %s %s: %.0f GFLOP/s\n", MEASURE_PRODUCT, dtype, info.name, info.core, rate * 1e-9);
		return 0;
	}
	json_writer_init(&r->w, 0);
	json_begin_object(&r->w);
	json_member_text(&r->w, "backend", info.name);
	json_member_text(&r->w, "core", info.core);
	json_member_text(&r->w, "dtype", dtype);
	json_member_double(&r->w, "rate", rate);
	json_end_object(&r->w);
	return print_document(&r->w, err);
}

static int run_kernels(const struct options *o, struct report *r, struct err *err)
{
	struct bench_products products;
	if (check_model(o->model, err) || check_backend(o->backend, err) ||
	    bench_all_products(&products, o->backend, DTYPE_F32, o->threads, err))
		return -1;
	r->products = &products;
	return with_measure(o, r, kernels_on, err);
}

static int run_products(const struct options *o, struct report *r, struct err *err)
{
	return with_measure(o, r, products_on, err);
}

static uint64_t given(uint64_t value, uint64_t otherwise)
{
	return value ? value : otherwise;
}

static int student_of(struct bench_student *s, const struct options *o, bool json, struct err *err)
{
	enum dtype dtype;
	if (!o->model)
		return err_set(err, ERR_USAGE, "'--model' is missing: a student's directory");
	if (read_dtype(&dtype, o, err) || directory_check(o->model, err))
		return -1;
	if (o->slots > 4096 || o->length > 1 << 20 || o->steps > 1 << 20 || o->runs > 64)
		return err_set(err, ERR_CONFIG, "'--slots' takes at most 4096, '--length' and '--new' 1048576, '--runs' 64");
	*s = (struct bench_student){.backend = o->backend, .model = o->model, .dtype = dtype,
				    .threads = o->threads, .runs = given(o->runs, 5), .json = json};
	return 0;
}

static int run_score(const struct options *o, struct report *r, struct err *err)
{
	struct bench_products products;
	struct bench_student s;
	if (student_of(&s, o, r->json, err) || bench_all_products(&products, o->backend, s.dtype, o->threads, err))
		return -1;
	s.slots = given(o->slots, 4);
	s.length = given(o->length, 512);
	return bench_score(&s, best_over_own(&products), err);
}

static int run_decode(const struct options *o, struct report *r, struct err *err)
{
	struct bench_student s;
	if (student_of(&s, o, r->json, err))
		return -1;
	s.slots = given(o->slots, 1);
	s.length = given(o->length, 64);
	s.steps = given(o->steps, 64);
	return bench_decode(&s, err);
}

/* An option of another job would be passed over without a word. */
static int expect_own_options(const struct options *o, const char *job, struct err *err)
{
	const struct {
		const char *option, *jobs;
		bool given;
	} all[] = {
		{"model", "kernels score decode", o->model},   {"only", "kernels", o->only},
		{"dtype", "products score decode", o->dtype},  {"slots", "score decode", o->slots},
		{"length", "score decode", o->length},         {"new", "decode", o->steps},
		{"runs", "score decode", o->runs},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i].given && !strstr(all[i].jobs, job))
			return err_set(err, ERR_USAGE, "'bench %s' has no use for '--%s'", job, all[i].option);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(const struct options *o, struct report *r, struct err *err);
} jobs[] = {{"kernels", run_kernels}, {"products", run_products}, {"score", run_score}, {"decode", run_decode}};

static int run(struct arguments *args, struct err *err)
{
	struct options o = {.backend = "auto"};
	const struct option_row rows[] = {
		{"backend", OPTION_TEXT, &o.backend, "NAME", "backend to measure (auto)"},
		{"model", OPTION_TEXT, &o.model, "NAME", "only SmolLM2-135M, TinyLlama-1.1B or Llama-3-8B; a student's directory"},
		{"only", OPTION_TEXT, &o.only, "TEXT", "only operations whose name holds TEXT"},
		{"dtype", OPTION_TEXT, &o.dtype, "TYPE", "a student's weights, or a product's factors, as float32 or bfloat16 (float32)"},
		{"slots", OPTION_NUMBER, &o.slots, "N", "rows at one time (score: 4, decode: 1)"},
		{"length", OPTION_NUMBER, &o.length, "N", "tokens of a row (score: 512) or of a prompt (decode: 64)"},
		{"new", OPTION_NUMBER, &o.steps, "N", "tokens decoded after the first (64)"},
		{"runs", OPTION_NUMBER, &o.runs, "N", "the median is taken of so many (5)"},
		{"threads", OPTION_NUMBER, &o.threads, "N", "threads (all of the machine's)"},
		{0},
	};
	int go = options_parse(&cmd_bench, rows, args, err);
	if (go <= 0)
		return go;
	if (options_expect(&cmd_bench, args, 1, 1, err))
		return -1;
	if (o.threads > 4096)
		return err_set(err, ERR_CONFIG, "'--threads' takes 1 to 4096");
	struct report report = {.json = args->json};
	for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
		if (!strcmp(args->argv[0], jobs[i].name))
			return expect_own_options(&o, jobs[i].name, err) ? -1 : jobs[i].run(&o, &report, err);
	return err_set(err, ERR_USAGE, "'bench' takes kernels, products, score or decode, not '%s'", args->argv[0]);
}

const struct command cmd_bench = {"bench", "measure the speed of each job beside the machine's roofs",
				  "kernels|products|score|decode", run, NEEDS_JSON};
