// SPDX-License-Identifier: Apache-2.0
/*
 * kernel_bench [BACKEND [MODEL [OPERATION]]]: what `baldistill bench kernels`
 * measures, in a program that links only the numeric part, for machines
 * without the other libraries (configure --enable-kernels-only).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/measure.h"

static void print_row(void *context, const struct measure_row *row)
{
	(void)context;
	double rate = (row->by_bytes ? row->bytes : row->flops) / row->seconds;
	printf("%-15s %-22s %-34s %10.3f ms %10.1f %s %5.0f%% of %.1f\n", row->model, row->name, row->shape,
	       row->seconds * 1e3, rate * 1e-9, row->by_bytes ? "GB/s   " : "GFLOP/s", 100 * row->share,
	       row->roof * 1e-9);
	fflush(stdout);
}

static int run(const char *backend, const char *model, const char *only, struct err *err)
{
	struct device_options options = {0};
	struct measure measure;
	struct device *dev = backend_open(backend, &options, err);
	if (!dev)
		return -1;
	int rc = measure_init(&measure, dev, backend_of(dev), DTYPE_F32, err);
	if (rc)
		goto close;
	printf("%s: product %d^3 %.1f GFLOP/s, read %.1f GB/s, copy %.1f GB/s\n", dev->name, MEASURE_PRODUCT,
	       1e-9 * measure_median(&measure, measure_product, 5), 1e-9 * measure_median(&measure, measure_read, 5),
	       1e-9 * measure_median(&measure, measure_copy, 5));
	for (const struct measure_model *m = measure_models; !rc && m->name; m++)
		if (!model || !strcmp(model, m->name))
			rc = measure_run(&measure, m, only, print_row, NULL, err);
	measure_release(&measure);
close:
	backend_close(dev);
	return rc;
}

/* A library that is already loaded has chosen its kernels: say which, and begin again. */
static void choose_core(char **argv)
{
	const char *core = backend_openblas_core();
	if (core && !setenv("OPENBLAS_CORETYPE", core, 0))
		execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	struct err err = {0};
	choose_core(argv);
	if (!run(argc > 1 ? argv[1] : "auto", argc > 2 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL, &err))
		return 0;
	fprintf(stderr, "kernel_bench: %s\n", err.message);
	return err.code;
}
