// SPDX-License-Identifier: Apache-2.0
/* The JSON header of a safetensors file, read as a stream into a table: a tree would cost a kilobyte per tensor. */
#include <stdlib.h>
#include <string.h>

#include "src/base/jsonio.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/safetensors_table.h"

enum { FIELD_DTYPE = 1, FIELD_SHAPE = 2, FIELD_OFFSETS = 4, FIELD_ALL = 7 };

struct header {
	struct json_reader *reader;
	struct json_event event; /* the latest */
	struct table *table;
	struct table_entry entry; /* the tensor being read */
	struct err *err;
};

static int next(struct header *in)
{
	return json_reader_next(in->reader, &in->event, in->err);
}

static int begins(const struct header *in, enum json_kind kind)
{
	return in->event.kind == JSON_EVENT_VALUE && in->event.value == kind;
}

static int fail(struct header *in, const char *rule)
{
	return err_set(in->err, ERR_DATA, "byte %zu: %s", in->event.at, rule);
}

/* Keep a string for good; *place is where. */
static int keep(struct header *in, uint32_t *place)
{
	struct table *t = in->table;

	if (mem_grow(&t->names, &t->names_room, t->names_n + in->event.n + 1, 1, in->err))
		return -1;
	*place = (uint32_t)t->names_n; /* all strings together are shorter than the header */
	memcpy(t->names + t->names_n, in->event.bytes, in->event.n);
	t->names[t->names_n + in->event.n] = '\0';
	t->names_n += in->event.n + 1;
	return 0;
}

static int read_pair(struct header *in)
{
	struct table *t = in->table;
	struct metadata_pair pair;

	if (keep(in, &pair.key) || next(in))
		return -1;
	if (!begins(in, JSON_STRING))
		return fail(in, "a value of '__metadata__' must be a string");
	if (memchr(in->event.bytes, 0, in->event.n))
		return fail(in, "a value of '__metadata__' holds a NUL character");
	if (keep(in, &pair.value) || mem_grow(&t->metadata, &t->metadata_room, t->metadata_n + 1, sizeof pair, in->err))
		return -1;
	t->metadata[t->metadata_n++] = pair;
	return 0;
}

static int read_metadata(struct header *in)
{
	if (next(in))
		return -1;
	if (!begins(in, JSON_OBJECT))
		return fail(in, "'__metadata__' must be an object of strings");
	for (;;) {
		if (next(in))
			return -1;
		if (in->event.kind == JSON_EVENT_CLOSE)
			return 0;
		if (read_pair(in))
			return -1;
	}
}

static int read_dtype(struct header *in)
{
	char shown[40];

	if (!begins(in, JSON_STRING))
		return fail(in, "'dtype' must be a string");
	for (size_t i = 0; i < tensor_type_count; i++)
		if (strlen(tensor_types[i].name) == in->event.n &&
		    !memcmp(tensor_types[i].name, in->event.bytes, in->event.n)) {
			in->entry.type = (uint8_t)i;
			return 0;
		}
	return err_set(in->err, ERR_DATA, "byte %zu: unknown dtype '%s'", in->event.at,
		       text_escape(shown, sizeof shown, in->event.bytes, in->event.n));
}

static int read_shape(struct header *in)
{
	struct table *t = in->table;
	uint64_t dim;

	if (!begins(in, JSON_ARRAY))
		return fail(in, "'shape' must be an array");
	in->entry.shape = (uint32_t)t->dims_n;
	for (in->entry.rank = 0;; in->entry.rank++) {
		if (next(in))
			return -1;
		if (in->event.kind == JSON_EVENT_CLOSE)
			return 0;
		if (in->entry.rank == LIMIT_RANK)
			return fail(in, "'shape' has more than 8 dimensions");
		if (json_event_uint64(&in->event, &dim, in->err))
			return err_prefix(in->err, "'shape'");
		if (dim > INT64_MAX)
			return fail(in, "'shape' has a dimension above 2^63 - 1");
		if (mem_grow(&t->dims, &t->dims_room, t->dims_n + 1, sizeof *t->dims, in->err))
			return -1;
		t->dims[t->dims_n++] = (int64_t)dim;
	}
}

static int read_offsets(struct header *in)
{
	uint64_t *ends[] = {&in->entry.begin, &in->entry.end};

	if (!begins(in, JSON_ARRAY))
		return fail(in, "'data_offsets' must be an array");
	for (size_t i = 0; i < 2; i++) {
		if (next(in))
			return -1;
		if (in->event.kind == JSON_EVENT_CLOSE)
			return fail(in, "'data_offsets' must have two items");
		if (json_event_uint64(&in->event, ends[i], in->err))
			return err_prefix(in->err, "'data_offsets'");
	}
	if (next(in))
		return -1;
	if (in->event.kind != JSON_EVENT_CLOSE)
		return fail(in, "'data_offsets' must have two items");
	return in->entry.begin > in->entry.end ? fail(in, "'data_offsets' run backwards") : 0;
}

static const struct field {
	const char *name;
	int bit;
	int (*read)(struct header *in);
} fields[] = {
	{"dtype", FIELD_DTYPE, read_dtype},
	{"shape", FIELD_SHAPE, read_shape},
	{"data_offsets", FIELD_OFFSETS, read_offsets},
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

/* The field whose key is the latest event, and its value. */
static int read_field(struct header *in, int *seen)
{
	char shown[100];

	for (size_t i = 0; i < FIELDS; i++)
		if (strlen(fields[i].name) == in->event.n && !memcmp(fields[i].name, in->event.bytes, in->event.n)) {
			*seen |= fields[i].bit;
			return next(in) ? -1 : fields[i].read(in);
		}
	return err_set(in->err, ERR_DATA, "byte %zu: unknown field '%s'", in->event.at,
		       text_escape(shown, sizeof shown, in->event.bytes, in->event.n));
}

static int read_fields(struct header *in)
{
	int seen = 0;

	if (next(in))
		return -1;
	if (!begins(in, JSON_OBJECT))
		return fail(in, "a tensor must be an object");
	for (;;) {
		if (next(in))
			return -1;
		if (in->event.kind == JSON_EVENT_CLOSE)
			break;
		if (read_field(in, &seen))
			return -1;
	}
	for (size_t i = 0; i < FIELDS; i++)
		if (!(seen & fields[i].bit))
			return err_set(in->err, ERR_DATA, "field '%s' is missing", fields[i].name);
	return 0;
}

static int check_size(struct header *in)
{
	const struct table_entry *e = &in->entry;
	const int64_t *shape = e->rank ? in->table->dims + e->shape : NULL;
	uint64_t bytes;

	if (tensor_bytes(&bytes, &tensor_types[e->type], e->rank, shape, in->err))
		return -1;
	if (bytes == e->end - e->begin)
		return 0;
	return err_set(in->err, ERR_DATA, "dtype and shape make %llu bytes, data_offsets give it %llu",
		       (unsigned long long)bytes, (unsigned long long)(e->end - e->begin));
}

static int read_tensor(struct header *in)
{
	struct table *t = in->table;
	char shown[100];

	if (tensor_check_name(in->event.bytes, in->event.n, in->err))
		return err_prefix(in->err, "byte %zu", in->event.at);
	if (t->n == LIMIT_TENSORS)
		return fail(in, "more than 1048576 tensors");
	in->entry = (struct table_entry){0};
	if (keep(in, &in->entry.name))
		return -1;
	if (read_fields(in) || check_size(in)) {
		const char *name = t->names + in->entry.name;
		return err_prefix(in->err, "tensor '%s'", text_escape(shown, sizeof shown, name, strlen(name)));
	}
	if (mem_grow(&t->entries, &t->room, t->n + 1, sizeof in->entry, in->err))
		return -1;
	t->entries[t->n++] = in->entry;
	return 0;
}

static int read_header(struct header *in)
{
	static const char metadata[] = "__metadata__";

	if (next(in)) /* the caller has seen the '{' */
		return -1;
	for (;;) {
		if (next(in))
			return -1;
		if (in->event.kind == JSON_EVENT_CLOSE)
			return next(in);
		bool special = in->event.n == sizeof metadata - 1 && !memcmp(in->event.bytes, metadata, in->event.n);
		if (special ? read_metadata(in) : read_tensor(in))
			return -1;
	}
}

int table_parse(struct table *table, const char *text, size_t n, struct err *err)
{
	const struct json_limits limits = {LIMIT_HEADER_BYTES, 3, SIZE_MAX};
	struct header in = {.table = table, .err = err};
	int result;

	if (!n || text[0] != '{')
		return err_set(err, ERR_DATA, "byte 0: the header must start with '{'");
	while (text[n - 1] == ' ')
		n--;
	if (text[n - 1] != '}')
		return err_set(err, ERR_DATA, "byte %zu: the header must end in '}', with nothing but spaces behind",
			       n - 1);
	in.reader = json_reader_new(text, n, &limits, err);
	if (!in.reader)
		return -1;
	result = read_header(&in);
	json_reader_free(in.reader);
	return result;
}
