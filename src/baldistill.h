// SPDX-License-Identifier: Apache-2.0
/*
 * baldistill.h - the interface of libbaldistill. Every name begins with bd_.
 *
 *     cc program.c $(pkg-config --cflags --libs baldistill)
 */
#ifndef BALDISTILL_H
#define BALDISTILL_H

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the library in use, "MAJOR.MINOR.PATCH"; never NULL, static storage. */
const char *bd_version(void);

#ifdef __cplusplus
}
#endif
#endif
