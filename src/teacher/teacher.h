// SPDX-License-Identifier: Apache-2.0
/*
 * teacher.h - somebody who answers: one interface for all kinds of teacher.
 *
 * Whoever asks keeps the account: every question is one unit, taken before it
 * is asked (by the ledger) and settled by the state of its reply. A source
 * never asks twice for one question.
 *
 *     struct teacher_source *source = teacher_openai_open(&config, &err);
 *     source->ask(source, &question, &err);
 *     source->poll(source, 1.0, on_reply, context, &err);   // calls on_reply for each that has ended
 *     source->close(source);
 *
 * ask: 0, or -1 and nothing was sent (ERR_INTERNAL where too many are open,
 * ERR_MEMORY). poll: waits up to `seconds` for a reply, not at all when none is
 * open; returns how many came, or -1. After ERR_MEMORY there a reply that had
 * come is in its slot, as after a crash. The callback may ask, but not poll or
 * close. close ends what is open without telling.
 */
#ifndef BALDISTILL_TEACHER_TEACHER_H
#define BALDISTILL_TEACHER_TEACHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/hash.h"
#include "src/teacher/http.h"
#include "src/teacher/outcome.h"
#include "src/teacher/slot.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Everything is borrowed, and must stay until the reply. */
struct teacher_question {
	uint64_t tag;
	const char *kind;        /* "annotate" or "synthesise" */
	const char *domain, *id; /* of the example */
	uint64_t ordinal;
	uint64_t attempt;  /* how often this query was asked before: the k-th row answers the k-th attempt */
	uint64_t position; /* of a synthesis: how many earlier synthesis queries its domain has, in all stages */
	const char *input; /* the example's, for parsed rows of a cassette; NULL where there is none */
	size_t input_n;
	const char *body; /* as teacher_request_write makes it */
	size_t body_n;
	const char *client_id;     /* of this attempt; NULL: none */
	struct teacher_slot *slot; /* of openai; the others need none */
};

/* Valid during the callback only, but for the slot. */
struct teacher_reply {
	uint64_t tag;
	struct teacher_outcome outcome;
	struct teacher_exchange exchange;
	struct teacher_answer answer; /* content NULL where there is none */
	struct teacher_error error;   /* of a refusal; message "" otherwise */
	char request_id[TEACHER_REQUEST_ID_ROOM];
	unsigned changes; /* enum teacher_change: made in what was sent */
	const char *raw;  /* what came, redacted, for the ledger: see teacher_source.read; NULL: nothing */
	size_t raw_n;
	struct teacher_slot *slot; /* the question's; raw lies in its body where it is used */
};

typedef void teacher_callback(void *context, const struct teacher_reply *reply);

struct teacher_source {
	const char *kind; /* as in a plan */
	bool billable;    /* false: an interrupted question costs nothing */
	int (*ask)(struct teacher_source *source, const struct teacher_question *question, struct err *err);
	int (*poll)(struct teacher_source *source, double seconds, teacher_callback *done, void *context,
		    struct err *err);
	/* An answer read again from raw bytes kept elsewhere. 0, or -1 with ERR_MEMORY. */
	int (*read)(struct teacher_source *source, struct teacher_answer *answer, const char *raw, size_t n,
		    struct err *err);
	void (*close)(struct teacher_source *source);
};

/*
 * What identifies a question in a cassette, in hexadecimal: SHA-256 of
 * {"kind", "id", "ordinal", "messages"}, the messages taken from its body.
 * ERR_DATA where the body is no request.
 */
int teacher_question_hash(char hex[HASH_HEX_ROOM], const struct teacher_question *question, struct err *err);

/* openai: any server of the chat completions protocol. */
struct teacher_openai_config {
	struct teacher_http_config http;
	const char *model; /* asked for; NULL: any name may come back */
	double max_wait;   /* seconds; a server that asks for more ends the run; 0: 600 */
};

/* config->http.key and model are borrowed until close. Failures: those of teacher_http_new. */
struct teacher_source *teacher_openai_open(const struct teacher_openai_config *config, struct err *err);
/* As teacher_http_proxy. */
const char *teacher_openai_proxy(const struct teacher_source *source, bool *exceptions);

/*
 * command: a program that reads one request a line, {"id", "kind", "domain",
 * "messages", "temperature", "max_tokens"}, and writes one answer a line, in
 * any order, {"id", "content", "finish_reason"?, "usage"?} or {"id", "error"}.
 */
struct teacher_command_config {
	const char *const *argv; /* NULL-ended; argv[0] is looked up in PATH; no shell */
	const char *key_name;    /* this variable is not in its environment; NULL: none */
	size_t max_concurrent;   /* questions open at once, at least 1 */
	double timeout;          /* seconds for one answer, or from one line to the next; 0: 600 */
};

/*
 * ERR_NOINPUT where the program cannot be started, ERR_MEMORY. An error the
 * program reports, its end, and silence are in doubt: it may have paid. poll
 * fails with ERR_PROTOCOL where it writes anything but answers; after its end
 * ask fails with ERR_UNAVAILABLE.
 */
struct teacher_source *teacher_command_open(const struct teacher_command_config *config, struct err *err);

/*
 * recorded: earlier attempts from a cassette (JSON Lines). A row with
 * prompt_sha256 (teacher_question_hash) replays that attempt, whatever became
 * of it. A parsed row {"kind", "domain", "input", "label"?, "rationale"}
 * answers an annotation of the same input and domain, its rationale being the
 * content, or the domain's synthesis at its position, the content being what
 * the teacher would have written: "Input:", "Rationale:" and "Answer:", a line
 * each. Other keys are ignored.
 */
struct teacher_recorded_config {
	const char *path;
	bool skip_missing; /* what is not there is rejected, reason "not recorded"; otherwise asking for it is ERR_DATA
			    */
	bool exact; /* every row must have its prompt's digest, as those of a ledger's export have */
};

/* Failures: those of file_read, and ERR_DATA, with FILE:LINE, for a row that is neither recorded nor parsed. */
struct teacher_source *teacher_recorded_open(const struct teacher_recorded_config *config, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
