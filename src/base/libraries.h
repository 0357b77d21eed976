// SPDX-License-Identifier: Apache-2.0
/*
 * libraries.h - the versions of the libraries this room runs with, for
 * `baldistill --version`. A room that owns libraries has such a table.
 *
 *     for (const struct library *l = base_libraries; l->name; l++)
 *             printf("%s %s\n", l->name, l->version());
 */
#ifndef BALDISTILL_BASE_LIBRARIES_H
#define BALDISTILL_BASE_LIBRARIES_H

#ifdef __cplusplus
extern "C" {
#endif

struct library {
	const char *name;
	const char *(*version)(void); /* of the library loaded, not of its headers; static storage */
};

/* json-c, libyaml, libcrypto; a row of zeros ends it. */
extern const struct library base_libraries[];

#ifdef __cplusplus
}
#endif
#endif
