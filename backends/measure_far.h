// SPDX-License-Identifier: Apache-2.0
/* measure_far.h - private to measure: the roofs of a device whose memory the host cannot read, by its own operations. */
#ifndef BALDISTILL_BACKENDS_MEASURE_FAR_H
#define BALDISTILL_BACKENDS_MEASURE_FAR_H

#include "backends/measure.h"

struct measure_far;

/* ERR_MEMORY where the device has too little. */
struct measure_far *measure_far_new(const struct measure *measure, struct err *err);
void measure_far_free(struct measure_far *far);

/* FLOP/s of linear at MEASURE_PRODUCT^3 in the device's arithmetic; bytes/s of norm2, which reads, and of copy. */
double measure_far_product(struct measure_far *far);
double measure_far_read(struct measure_far *far);
double measure_far_copy(struct measure_far *far);

#endif
