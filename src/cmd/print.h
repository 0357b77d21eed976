// SPDX-License-Identifier: Apache-2.0
/* print.h - a finished JSON document as a line of standard output; the writer is released. */
#ifndef BALDISTILL_CMD_PRINT_H
#define BALDISTILL_CMD_PRINT_H

#include "src/base/jsonio.h"

int print_document(struct json_writer *w, struct err *err);

#endif
