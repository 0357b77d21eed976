// SPDX-License-Identifier: Apache-2.0
#include "src/cmd/put.h"

#include <string.h>

void put_text(struct json_writer *w, const char *key, const char *text)
{
	json_put_key(w, key);
	json_put_string(w, text, strlen(text));
}

void put_number(struct json_writer *w, const char *key, double value)
{
	json_put_key(w, key);
	json_put_double(w, value);
}

void put_int(struct json_writer *w, const char *key, int64_t value)
{
	json_put_key(w, key);
	json_put_int(w, value);
}
