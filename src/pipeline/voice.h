// SPDX-License-Identifier: Apache-2.0
/*
 * voice.h - how long work speaks to whoever started it, without printing.
 *
 * The command fills it and hands it down. Everything may be NULL: then it is
 * silent and cannot be interrupted.
 */
#ifndef BALDISTILL_PIPELINE_VOICE_H
#define BALDISTILL_PIPELINE_VOICE_H

#include <signal.h>

#include "src/base/progress.h"

#ifdef __cplusplus
extern "C" {
#endif

struct voice {
	void (*say)(void *context, const char *message); /* a finished line for the user */
	void *context;
	const struct progress_output *progress;
	const volatile sig_atomic_t *signals; /* how many SIGINT and SIGTERM have come */
	volatile sig_atomic_t *paying;        /* set to 1 while paid requests are in flight: only then is a signal waited out */
};

/* Formatted, at most 1023 bytes; voice may be NULL. */
void voice_say(const struct voice *voice, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline const struct progress_output *voice_progress(const struct voice *voice)
{
	return voice ? voice->progress : NULL;
}

static inline int voice_signals(const struct voice *voice)
{
	return voice && voice->signals ? (int)*voice->signals : 0;
}

#ifdef __cplusplus
}
#endif
#endif
