// SPDX-License-Identifier: Apache-2.0
/* put.h - members of a JSON object: a key and its value in one call. */
#ifndef BALDISTILL_CMD_PUT_H
#define BALDISTILL_CMD_PUT_H

#include "src/base/jsonio.h"

void put_text(struct json_writer *w, const char *key, const char *text);
void put_number(struct json_writer *w, const char *key, double value);
void put_int(struct json_writer *w, const char *key, int64_t value);

#endif
