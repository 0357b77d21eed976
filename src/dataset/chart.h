// SPDX-License-Identifier: Apache-2.0
/*
 * chart.h - the distribution of a dataset over its domains, as a picture.
 *
 * chart_domains gives an SVG document of its own: a bar for each domain, in
 * the order of the examples, its length the number of rows on a logarithmic
 * scale (a tail of single rows beside a head of thousands stays visible), the
 * number beside it; head domains dark, tail domains lighter. Real text, no
 * script, nothing remote, legible in grey. Released with free(); NULL with
 * ERR_MEMORY.
 */
#ifndef BALDISTILL_DATASET_CHART_H
#define BALDISTILL_DATASET_CHART_H

#include "src/dataset/examples.h"

#ifdef __cplusplus
extern "C" {
#endif

char *chart_domains(const struct examples *examples, const char *title, struct err *err);

/* The share of the full length, from 0 to 1, of a bar for n rows where the longest has `most`: log(1 + n) / log(1 +
 * most). */
double chart_share(size_t n, size_t most);

#ifdef __cplusplus
}
#endif
#endif
