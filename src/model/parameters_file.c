// SPDX-License-Identifier: Apache-2.0
/* Values, gradients and moments of parameters as safetensors. */
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/model.h"
#include "src/model/parameters.h"
#include "src/model/safetensors.h"

/* One tensor of a file and where its numbers lie. */
struct entry {
	const char *name;
	struct view at;
	bool vector;
};

struct entries {
	struct device *dev;
	struct entry *list;
	size_t n;
};

static int list_entries(struct entries *out, const struct parameters *params, enum parameter_file what, struct err *err)
{
	bool moments = what == PARAMETER_MOMENTS;
	*out = (struct entries){.dev = params->dev, .n = moments ? 2 : params->n};
	out->list = mem_array(out->n, sizeof *out->list, err);
	if (!out->list)
		return -1;
	for (size_t i = 0; !moments && i < params->n; i++) {
		const struct parameter *x = &params->list[i];
		out->list[i] = (struct entry){x->name, what == PARAMETER_VALUES ? x->p : x->g, x->vector};
	}
	if (moments) {
		out->list[0] = (struct entry){"m", params->m, true};
		out->list[1] = (struct entry){"v", params->v, true};
	}
	return 0;
}

static struct entry *find(const struct entries *entries, const char *name)
{
	size_t i = 0;
	while (i < entries->n && strcmp(entries->list[i].name, name))
		i++;
	return i < entries->n ? &entries->list[i] : NULL;
}

/* The numbers row … row + rows - 1 of an entry; a vector's rows are its elements. */
static struct view part(const struct entry *e, int64_t row, int64_t rows)
{
	return e->vector ? view_cols(e->at, row, rows) : view_rows(e->at, row, rows);
}

static struct tensor_spec spec_of(const struct entry *e)
{
	struct tensor_spec spec = {.name = e->name, .dtype = DTYPE_F32, .rank = e->vector ? 1 : 2,
				   .shape = {e->at.rows, e->at.cols}};
	if (e->vector)
		spec.shape[0] = e->at.cols;
	return spec;
}

static int give_rows(void *context, const struct tensor_spec *tensor, int64_t row, int64_t rows, void *out,
		     struct err *err)
{
	const struct entries *entries = context;
	const struct entry *e = find(entries, tensor->name);
	entries->dev->k->download(entries->dev, out, part(e, row, rows));
	return device_finish(entries->dev, ERR_INTERNAL, err);
}

int parameters_save(const struct parameters *params, enum parameter_file what, const char *path, struct err *err)
{
	struct entries entries;
	if (list_entries(&entries, params, what, err))
		return -1;
	struct tensor_spec *specs = mem_array(entries.n, sizeof *specs, err);
	for (size_t i = 0; specs && i < entries.n; i++)
		specs[i] = spec_of(&entries.list[i]);
	int rc = specs ? safetensors_save(path, specs, entries.n, give_rows, &entries, err) : -1;
	free(specs);
	free(entries.list);
	return rc;
}

/* ---- read ------------------------------------------------------------------------ */

enum { READ = 8 << 20 }; /* bytes held at a time */

static int read_entry(struct entries *entries, const struct entry *e, const struct tensor_info *info, float *host,
		      struct err *err)
{
	int64_t rows = tensor_rows(info), cols = tensor_row_elements(info);
	int64_t step = READ / (int64_t)sizeof *host / (cols ? cols : 1);
	step = step < 1 ? 1 : step;
	for (int64_t row = 0; row < rows; row += step) {
		int64_t n = rows - row < step ? rows - row : step;
		if (tensor_read_f32(info, row, n, host, err))
			return -1;
		if (tensor_check_finite(e->name, DTYPE_F32, host, (size_t)(n * cols), err))
			return err_prefix(err, "%s", safetensors_path(info->file));
		entries->dev->k->upload(entries->dev, part(e, row, n), host);
	}
	return device_finish(entries->dev, ERR_INTERNAL, err);
}

/* Bytes of the piece that read_entry needs: READ, or one row where that is more. */
static size_t piece_bytes(const struct entries *entries)
{
	size_t most = READ;
	for (size_t i = 0; i < entries->n; i++) {
		size_t row = entries->list[i].vector ? 0 : (size_t)entries->list[i].at.cols * sizeof(float);
		most = row > most ? row : most;
	}
	return most;
}

static int read_all(struct entries *entries, const struct safetensors *file, struct err *err)
{
	float *host = mem_array(piece_bytes(entries), 1, err);
	int rc = host ? 0 : -1;
	for (size_t i = 0; !rc && i < entries->n; i++) {
		const struct entry *e = &entries->list[i];
		struct tensor_spec spec = spec_of(e);
		struct tensor_info info;
		if (!safetensors_find(file, e->name, &info))
			rc = err_set(err, ERR_DATA, "%s: tensor '%s' is missing", safetensors_path(file), e->name);
		else
			rc = tensor_expect(&info, spec.rank, spec.shape, err) ||
			     read_entry(entries, e, &info, host, err) ? -1 : 0;
	}
	free(host);
	return rc;
}

static int refuse_extra(const struct entries *entries, const struct safetensors *file, struct err *err)
{
	char shown[256];
	for (size_t i = 0; i < safetensors_count(file); i++) {
		const char *name = safetensors_name(file, i);
		if (!find(entries, name))
			return err_set(err, ERR_DATA, "%s: tensor '%s' has no place in this model with these targets",
				       safetensors_path(file), text_escape(shown, sizeof shown, name, strlen(name)));
	}
	return 0;
}

int parameters_load(struct parameters *params, enum parameter_file what, const char *path, struct err *err)
{
	struct entries entries;
	struct safetensors *file = safetensors_open(path, err);
	if (!file)
		return -1;
	int rc = list_entries(&entries, params, what, err);
	if (!rc)
		rc = read_all(&entries, file, err) || refuse_extra(&entries, file, err) ? -1 : 0;
	free(entries.list);
	safetensors_close(file);
	return rc;
}
