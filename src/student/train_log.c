// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* memrchr */
#include "src/student/train_log.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/jsonio.h"
#include "src/base/mem.h"
#include "src/base/tree.h"
#include "src/model/directory.h"

/* ---- domains ------------------------------------------------------------------------ */

static int name_domains(struct train_log *log, const struct train_row *rows, size_t n, struct err *err)
{
	size_t room = 0;
	log->domain_of = mem_array(n, sizeof *log->domain_of, err);
	if (!log->domain_of)
		return -1;
	for (size_t i = 0; i < n; i++) {
		size_t d = 0;
		while (rows[i].domain && d < log->domains && strcmp(log->domain[d], rows[i].domain))
			d++;
		if (rows[i].domain && d == log->domains) {
			if (mem_grow(&log->domain, &room, d + 1, sizeof *log->domain, err))
				return -1;
			log->domain[log->domains++] = rows[i].domain;
		}
		log->domain_of[i] = rows[i].domain ? d : SIZE_MAX;
	}
	log->tally.domain_loss = mem_array(log->domains, sizeof(double), err);
	log->tally.domain_targets = mem_array(log->domains, sizeof(int64_t), err);
	return log->tally.domain_loss && log->tally.domain_targets ? 0 : -1;
}

/* ---- the file ------------------------------------------------------------------------- */

/* Bytes of the first `lines` whole lines. */
static size_t bytes_of_lines(const char *text, size_t n, int64_t lines)
{
	size_t at = 0;
	for (; lines > 0; lines--) {
		const char *end = memchr(text + at, '\n', n - at);
		if (!end)
			break;
		at = (size_t)(end + 1 - text);
	}
	return at;
}

/* The loss that the last line tells, NaN where there is none. */
static double last_loss(const char *text, size_t n)
{
	const char *begin = n ? memrchr(text, '\n', n - 1) : NULL;
	struct err ignored;
	double loss = NAN;
	begin = begin ? begin + 1 : text;
	struct json *doc = n ? json_parse(begin, (size_t)(text + n - begin), NULL, &ignored) : NULL;
	if (doc && json_get_double(json_in(json_root(doc), "loss"), &loss, &ignored))
		loss = NAN;
	json_free(doc);
	return loss;
}

static int cut_file(double *loss, const char *path, int64_t lines, struct err *err)
{
	enum { MAX_LOG = 1 << 30 };
	size_t n;
	struct err missing = {0};
	char *text = file_read(path, MAX_LOG, &n, &missing);
	if (!text && missing.code != ERR_NOINPUT)
		return err_set(err, missing.code, "%s", missing.message);
	size_t kept = text ? bytes_of_lines(text, n, lines) : 0;
	int rc = file_save(path, text ? text : "", kept, 0666, err);
	*loss = last_loss(text, kept);
	free(text);
	return rc;
}

static int open_file(struct train_log *log, const char *directory, int64_t done, struct err *err)
{
	log->path = tree_join(directory, "trainer_log.jsonl", err);
	if (!log->path || cut_file(&log->kept_loss, log->path, done, err))
		return -1;
	log->fd = open(log->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	return log->fd >= 0 ? 0 : err_set_errno(err, ERR_CANTCREATE, "cannot write '%s'", log->path);
}

int train_log_open(struct train_log *log, const char *directory, const struct train_row *rows, size_t n, int64_t done,
		   struct err *err)
{
	*log = (struct train_log){.fd = -1, .kept_loss = NAN};
	if (!name_domains(log, rows, n, err) && (!directory || !open_file(log, directory, done, err)))
		return 0;
	train_log_close(log);
	return -1;
}

void train_log_close(struct train_log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	free(log->path);
	free(log->domain);
	free(log->domain_of);
	free(log->tally.domain_loss);
	free(log->tally.domain_targets);
	*log = (struct train_log){.fd = -1};
}

/* ---- a step ------------------------------------------------------------------------------ */

void train_log_clear(struct train_log *log)
{
	struct train_tally *t = &log->tally;
	t->loss = 0;
	t->tokens = t->targets = 0;
	memset(t->domain_loss, 0, log->domains * sizeof *t->domain_loss);
	memset(t->domain_targets, 0, log->domains * sizeof *t->domain_targets);
}

void train_log_add(struct train_log *log, const float *logp, const size_t *owner, int64_t targets, int64_t tokens)
{
	struct train_tally *t = &log->tally;
	t->tokens += tokens;
	t->targets += targets;
	for (int64_t i = 0; i < targets; i++) {
		size_t d = log->domain_of[owner[i]];
		t->loss -= logp[i];
		if (d == SIZE_MAX)
			continue;
		t->domain_loss[d] -= logp[i];
		t->domain_targets[d]++;
	}
}

static void put_domains(struct json_writer *w, const struct train_log *log)
{
	json_put_key(w, "domain_loss");
	json_begin_object(w);
	for (size_t d = 0; d < log->domains; d++) {
		if (!log->tally.domain_targets[d])
			continue;
		json_put_key(w, log->domain[d]);
		json_put_double(w, log->tally.domain_loss[d] / (double)log->tally.domain_targets[d]);
	}
	json_end_object(w);
}

static void put_line(struct json_writer *w, const struct train_log *log, const struct train_line *line)
{
	const struct train_tally *t = &log->tally;
	const struct {
		const char *key;
		double value;
	} numbers[] = {{"epoch", line->epoch}, {"loss", t->loss / (double)t->targets},
		       {"learning_rate", line->learning_rate}, {"grad_norm", line->grad_norm}};
	json_begin_object(w);
	json_put_key(w, "step");
	json_put_int(w, line->step);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		json_put_key(w, numbers[i].key);
		json_put_double(w, numbers[i].value);
	}
	json_put_key(w, "tokens");
	json_put_int(w, t->tokens);
	json_put_key(w, "target_tokens");
	json_put_int(w, t->targets);
	json_put_key(w, "tokens_per_second");
	json_put_double(w, line->seconds > 0 ? (double)t->tokens / line->seconds : 0);
	if (log->domains)
		put_domains(w, log);
	json_end_object(w);
}

/* A line or nothing: a disk that fills up would leave half of one. */
static int append_line(const struct train_log *log, const char *text, size_t n, struct err *err)
{
	off_t end = lseek(log->fd, 0, SEEK_END);
	if (end >= 0 && !file_put(log->fd, text, n, -1) && !file_put(log->fd, "\n", 1, -1))
		return 0;
	err_set_errno(err, ERR_IO, "cannot write '%s'", log->path);
	(void)!ftruncate(log->fd, end); /* the failure to report is the one before */
	return -1;
}

int train_log_sync(const struct train_log *log, struct err *err)
{
	return fdatasync(log->fd) ? err_set_errno(err, ERR_IO, "cannot sync '%s'", log->path) : 0;
}

int train_log_write(struct train_log *log, const struct train_line *line, struct err *err)
{
	struct json_writer w;
	size_t n;
	if (log->fd < 0)
		return 0;
	json_writer_init(&w, 0);
	put_line(&w, log, line);
	const char *text = json_writer_text(&w, &n, err);
	int rc = text ? append_line(log, text, n, err) : -1;
	json_writer_release(&w);
	return rc;
}
