// SPDX-License-Identifier: Apache-2.0
/* print.h - how commands print: results on standard output, lines for people on standard error. */
#ifndef BALDISTILL_CMD_PRINT_H
#define BALDISTILL_CMD_PRINT_H

#include "src/base/jsonio.h"

/* A finished JSON document as a line of standard output; the writer is released. */
int print_document(struct json_writer *w, struct err *err);

/* A name from outside in the first column of a table, which is 24 characters wide. */
void print_name(const char *name, size_t n);

/* A score in per cent in a column of a table, "-" where there is none. */
void print_score(double score);

/* "baldistill: TEXT" as one line on standard error: what comes from outside cannot drive the terminal or add a line. */
void print_line(const char *text);

/* voice.say: context is the struct arguments. */
void print_note(void *context, const char *message);

#endif
