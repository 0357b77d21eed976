// SPDX-License-Identifier: Apache-2.0
/* Examples as JSON Lines. */
#include <string.h>

#include "src/base/jsonfile.h"
#include "src/dataset/examples.h"
#include "src/dataset/rows.h"

static int save_row(struct file_writer *writer, const struct examples *examples, const struct example *row,
		    struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	row_put_id(&w, &row->id);
	json_member_text(&w, "input", row->input);
	if (row->n_choices) {
		json_put_key(&w, "choices");
		json_begin_array(&w);
		for (size_t i = 0; i < row->n_choices; i++)
			json_put_string(&w, row->choices[i], strlen(row->choices[i]));
		json_end_array(&w);
	}
	json_member_text(&w, "label", row->label);
	json_member_text(&w, "domain", examples->domain[row->domain].name);
	json_end_object(&w);
	return json_save_row(&w, writer, err);
}

int examples_write(const struct examples *examples, struct file_writer *writer, struct err *err)
{
	for (size_t i = 0; i < examples->n; i++)
		if (save_row(writer, examples, &examples->row[i], err))
			return -1;
	return 0;
}
