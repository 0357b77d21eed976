// SPDX-License-Identifier: Apache-2.0
/*
 * err.h - errors as values.
 *
 * A function that can fail takes a `struct err *` as its last argument and
 * returns 0 or -1 (or a pointer or NULL). On failure it fills the err with a
 * finished message: what was read (file, line or tensor), the rule broken,
 * what to do. Nothing below src/cmd prints or exits; src/cmd prints
 * err.message and exits with err.code, which is a documented exit status.
 *
 *     struct err err;
 *     if (thing_load(&thing, path, &err))
 *             return err_prefix(&err, "%s", path);
 *
 * The message lives inside the struct, so reporting needs no memory. Messages
 * are lower case, without a final full stop, with the subject quoted.
 */
#ifndef BALDISTILL_BASE_ERR_H
#define BALDISTILL_BASE_ERR_H

#ifdef __cplusplus
extern "C" {
#endif

/* The exit statuses of the program (man page, EXIT STATUS). */
enum err_code {
	ERR_NONE = 0,
	ERR_USAGE = 64,       /* wrong words on the command line */
	ERR_DATA = 65,        /* bad data or model file, bad response content */
	ERR_NOINPUT = 66,     /* a named input is missing or not a regular file */
	ERR_UNAVAILABLE = 69, /* the teacher cannot be reached */
	ERR_INTERNAL = 70,    /* a fault of this program */
	ERR_MEMORY = 71,      /* out of memory, or an operating system limit */
	ERR_CANTCREATE = 73,  /* an output cannot be created */
	ERR_IO = 74,          /* reading or writing failed, disk full included */
	ERR_TEMPFAIL = 75,    /* try again later */
	ERR_PROTOCOL = 76,    /* TLS, redirect, not the protocol expected */
	ERR_NOPERM = 77,      /* permission or API key */
	ERR_CONFIG = 78,      /* the plan file or an option's value */
	ERR_BUDGET = 80,      /* budget used up before the target */
	ERR_QUOTA = 81,       /* the teacher's quota or credit */
	ERR_LEDGER = 82,      /* the ledger refuses: corrupt, rolled back, foreign */
	ERR_NOTFINITE = 83,   /* training is no longer finite */
};

struct err {
	int code;           /* enum err_code; 0 while nothing has failed */
	char message[1024]; /* finished; a longer one is cut and ends in "..." */
};

/* Store code and message; always returns -1, so that `return err_set(…)` reads well. err may be NULL. */
int err_set(struct err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * As err_set, with ": " and the text of errno appended. Reads errno first. Want
 * of memory or descriptors is ERR_MEMORY whatever was tried; a full disk is
 * ERR_IO where it kept an output from being created, too, and the message says
 * what to do.
 */
int err_set_errno(struct err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Put "PREFIX: " in front of the message already there; keeps the code; returns -1. */
int err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Forget the failure (code 0, empty message). */
void err_clear(struct err *err);

#ifdef __cplusplus
}
#endif
#endif
