// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target: a cassette, and what a recorded teacher makes of it. A file that
 * is refused is refused as bad data in printable words that name the line. Of
 * one that is accepted every question has a reply: an answer with a text, or a
 * reason.
 */
#define _GNU_SOURCE /* fuzz_check.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/text.h"
#include "src/teacher/teacher.h"
#include "tests/fuzz_check.h"

enum { QUESTIONS = 6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refused(const struct err *err)
{
	require(err->code == ERR_DATA && *err->message, "a refusal is of the file", err);
	require_printable(err);
}

static struct teacher_question question_of(size_t i)
{
	static const char body[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]}";

	return (struct teacher_question){.tag = i,
					 .kind = i % 2 ? "synthesise" : "annotate",
					 .domain = "earn",
					 .id = "7",
					 .attempt = i / 4,
					 .position = i / 2,
					 .input = i % 2 ? NULL : "net up",
					 .input_n = i % 2 ? 0 : 6,
					 .body = body,
					 .body_n = sizeof body - 1};
}

static void see(void *context, const struct teacher_reply *reply)
{
	struct err err = {0};
	const struct teacher_answer *a = &reply->answer;

	*(size_t *)context += 1;
	require(reply->outcome.state < TEACHER_STATES, "a reply has a state", &err);
	if (reply->outcome.state == TEACHER_ANSWERED)
		require(a->content && a->n && strlen(a->content) == a->n && text_utf8_valid(a->content, a->n) == a->n,
			"an answer has a text", &err);
	require(!reply->raw_n || reply->raw, "what came is there", &err);
	require(reply->exchange.status >= 0 && reply->exchange.status <= 999, "a status has three digits", &err);
	require(!(a->usage.known && a->usage.flagged), "a usage both known and flagged", &err);
}

static void ask_all(struct teacher_source *source)
{
	struct teacher_question q[QUESTIONS];
	struct err err = {0};
	size_t seen = 0;

	for (size_t i = 0; i < QUESTIONS; i++) {
		q[i] = question_of(i);
		require(!source->ask(source, &q[i], &err), "what may be missing is asked", &err);
	}
	require(source->poll(source, 0, see, &seen, &err) == QUESTIONS && seen == QUESTIONS,
		"every question has a reply", &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct teacher_answer answer;
	struct err err = {0};

	const struct teacher_recorded_config config = {.path = fuzz_file(data, size), .skip_missing = true};
	struct teacher_source *source = teacher_recorded_open(&config, &err);
	if (!source) {
		check_refused(&err);
		return 0;
	}
	ask_all(source);
	require(!source->read(source, &answer, (const char *)data, size, &err), "any bytes are read", &err);
	teacher_answer_release(&answer);
	source->close(source);
	return 0;
}
