// SPDX-License-Identifier: Apache-2.0
/*
 * source.h - the teacher that a plan names, opened.
 *
 *     struct source source;
 *     if (source_open(&source, &plan, &options, &err))      // key read, command started, cassette indexed
 *             return -1;
 *     … source.teacher->ask(…)
 *     source_close(&source);
 *
 * Failures: ERR_NOPERM (no key), ERR_CONFIG (URL), ERR_NOINPUT (cassette,
 * command, model), those of teacher.h and student.h.
 */
#ifndef BALDISTILL_PIPELINE_SOURCE_H
#define BALDISTILL_PIPELINE_SOURCE_H

#include "src/pipeline/plan.h"
#include "src/pipeline/voice.h"
#include "src/teacher/teacher.h"

#ifdef __cplusplus
extern "C" {
#endif

struct source_options {
	bool allow_http; /* plain http to another machine */
	const struct teacher_key *key; /* read before; NULL: read it from where the plan says */
	bool erase_key;  /* as of source_read_key */
	const struct voice *voice;
};

struct source {
	struct teacher_source *teacher;
	struct teacher_key key;
	struct teacher_http_header *headers; /* owned */
	struct teacher_source *reuse; /* of plan->teacher.reuse; NULL: none */
	struct teacher_key *secret; /* [secrets]: of headers, behind key in its list */
	size_t secrets;
	char host[256]; /* whom the units are bought from: scheme and host, "command", "recorded", "local" */
	char model[256];
};

int source_open(struct source *source, const struct plan *plan, const struct source_options *options, struct err *err);
void source_close(struct source *source);

/*
 * The key of a teacher that wants one; text NULL for others. A variable can be read once, it is unset then: who opens
 * several sources reads it before and lends it to each. erase: overwrite it there (key.h).
 */
int source_read_key(struct teacher_key *key, const struct plan_teacher *teacher, bool erase, struct err *err);

/* local.c: a checkpoint run by our own engine; answers come in the order asked, and cost nothing. */
struct teacher_source *source_local_open(const struct plan *plan, const struct voice *voice, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
