// SPDX-License-Identifier: Apache-2.0
/*
 * file.h - reading named inputs, and outputs that are either whole or absent.
 *
 * Inputs. A named input must be a regular file (symbolic links are followed):
 * a directory, FIFO, socket or device is refused without waiting for it.
 *
 *     size_t n;
 *     char *text = file_read(path, MAX_CONFIG, &n, &err);
 *     if (!text)
 *             return -1;
 *     free(text);
 *
 * Outputs. A new file is written aside, in the directory of its final name,
 * as ".NAME.PID.COUNTER.tmp"; it gets its final name only when every byte is
 * on disk, and the directory is synced behind it. Until then an older file of
 * that name is untouched, whatever fails and whenever the process dies; what a
 * killed one leaves aside goes with tree_remove_asides (tree.h).
 *
 *     struct file_writer writer;
 *     if (file_writer_open(&writer, path, 0600, &err))
 *             return -1;
 *     while (more rows)
 *             if (file_writer_write(&writer, row, n, &err))
 *                     return -1;                        // already aborted
 *     return file_writer_commit(&writer, &err);
 *
 * A writer owns two descriptors, two strings and the file aside. Commit, abort
 * and every failure release all of them and unlink the file aside; a released
 * writer refuses writes and commits, and may be aborted again. A failed sync is
 * never tried again: the kernel may have dropped the data and would not say so
 * twice. Only where the last step, the sync of the directory, fails is the new
 * file in place already, complete, with an error all the same.
 *
 * A file that is replaced never gets more permissions than it had.
 *
 * Failures: ERR_NOINPUT (input missing or not a regular file), ERR_NOPERM
 * (input not readable), ERR_DATA (input over the limit), ERR_CANTCREATE
 * (output cannot be created or named), ERR_IO (reading, writing, syncing, a
 * full disk), ERR_MEMORY.
 */
#ifndef BALDISTILL_BASE_FILE_H
#define BALDISTILL_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Open a regular file for reading, its size in *size (may be NULL). Returns the descriptor, to be closed, or -1. */
int file_open(const char *path, size_t *size, struct err *err);

/* The code that err_set_errno is to be given where an input, or an output, could not be opened. */
int file_input_code(int number);
int file_output_code(int number);

/* What is no regular file, for a message: "a directory". */
const char *file_kind(mode_t mode);

/* Read up to n bytes, once, past interruptions. Returns how many, 0 at the end of the file, -1 on failure. */
ssize_t file_read_some(int fd, void *bytes, size_t n, const char *path, struct err *err);

/* All n bytes at the place `at`, or where it is negative at the file's end or position; -1 with errno. */
int file_put(int fd, const void *bytes, size_t n, off_t at);

/* The whole file of at most `max` bytes, released with free(). bytes[*n] is NUL and not part of the content. */
char *file_read(const char *path, size_t max, size_t *n, struct err *err);

struct file_writer {
	int directory; /* where the file is going to be; -1 once released */
	int fd;        /* the file aside; -1 once released */
	char *path;    /* final name, as given */
	char *aside;   /* name inside directory */
};

/*
 * Start a file that is to be called `path`, with the given permission bits less
 * the umask. What stands under that name must be a regular file or nothing.
 */
int file_writer_open(struct file_writer *writer, const char *path, mode_t mode, struct err *err);
int file_writer_write(struct file_writer *writer, const void *bytes, size_t n, struct err *err);
int file_writer_commit(struct file_writer *writer, struct err *err);
void file_writer_abort(struct file_writer *writer);

/* Could a file of this name be started? Asked before long work; nothing is left behind. */
int file_check_output(const char *path, struct err *err);

/* Refuse an output that is the file `input` under whatever name: it would be replaced. ERR_CANTCREATE. */
int file_expect_apart(const char *output, const char *input, struct err *err);

/* All of a file in one call: open, write, commit. */
int file_save(const char *path, const void *bytes, size_t n, mode_t mode, struct err *err);

/* Make the names inside a directory survive a power cut. */
int file_sync_dir(const char *path, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
