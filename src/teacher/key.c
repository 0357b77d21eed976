// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* memmem */
#include "src/teacher/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"

enum {
	MAPPED = 2 * TEACHER_KEY_MAX, /* the key, a line end and the NUL */
	FILTER_BITS = 1 << 16,
	WHOLE = 16, /* bytes of the least key that is known by all of it */
};

static const char mark[] = "[key]";

static int key_map(struct teacher_key *key, struct err *err)
{
	*key = (struct teacher_key){0};
	void *pages = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return err_set_errno(err, ERR_MEMORY, "cannot map memory for the API key");
	/* Both may be forbidden to a user; the key is then held all the same. */
	(void)mlock(pages, MAPPED);
	(void)madvise(pages, MAPPED, MADV_DONTDUMP);
	key->text = pages;
	key->mapped = MAPPED;
	return 0;
}

void teacher_key_release(struct teacher_key *key)
{
	if (key->text) {
		explicit_bzero(key->text, key->mapped);
		munmap(key->text, key->mapped);
	}
	*key = (struct teacher_key){0};
}

/* Judge text[0..n) as a key; `source` names where it came from. */
static int key_accept(struct teacher_key *key, size_t n, const char *source, struct err *err)
{
	key->n = n;
	if (n == 0)
		return err_set(err, ERR_NOPERM, "'%s' holds no API key; store the key there", source);
	if (n > TEACHER_KEY_MAX)
		return err_set(err, ERR_NOPERM,
			       "the API key in '%s' is longer than %d bytes; store nothing but the key", source,
			       TEACHER_KEY_MAX);
	for (size_t i = 0; i < n; i++)
		if (key->text[i] < 0x21 || key->text[i] > 0x7E)
			return err_set(err, ERR_NOPERM,
				       "byte %zu of the API key in '%s' is a space, control or non-ASCII byte; "
				       "store nothing but the key",
				       i, source);
	return 0;
}

int teacher_key_from_value(struct teacher_key *key, const char *value, struct err *err)
{
	if (key_map(key, err))
		return -1;
	key->n = strnlen(value, TEACHER_KEY_MAX);
	memcpy(key->text, value, key->n);
	return 0;
}

int teacher_key_copy(struct teacher_key *key, const struct teacher_key *from, struct err *err)
{
	*key = (struct teacher_key){0};
	return from->text ? teacher_key_from_value(key, from->text, err) : 0;
}

int teacher_key_from_env(struct teacher_key *key, const char *name, bool erase, struct err *err)
{
	if (key_map(key, err))
		return -1;
	char *value = getenv(name);
	size_t n = value ? strlen(value) : 0, kept = n <= TEACHER_KEY_MAX ? n : TEACHER_KEY_MAX + 1;
	if (value) {
		memcpy(key->text, value, kept);
		if (erase)
			explicit_bzero(value, n);
		unsetenv(name);
	}
	if (!key_accept(key, kept, name, err))
		return 0;
	teacher_key_release(key);
	return -1;
}

static int open_private(const char *path, struct err *err)
{
	struct stat at;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ELOOP ? err_set(err, ERR_NOPERM,
						"API key file '%s' is a symbolic link; name the file itself", path)
				      : err_set_errno(err, ERR_NOPERM, "cannot open API key file '%s'", path);
	const char *fault = NULL;
	if (fstat(fd, &at))
		fault = "cannot be examined; check its file system";
	else if (!S_ISREG(at.st_mode))
		fault = "is not a regular file; name a file";
	else if (at.st_uid != geteuid())
		fault = "belongs to somebody else; use a file of your own";
	else if (at.st_mode & 077)
		fault = "can be used by others; run chmod 600 on it";
	if (!fault)
		return fd;
	close(fd);
	return err_set(err, ERR_NOPERM, "API key file '%s' %s", path, fault);
}

static int read_key(struct teacher_key *key, int fd, const char *path, size_t *n, struct err *err)
{
	ssize_t got = 1;
	for (*n = 0; got > 0 && *n < TEACHER_KEY_MAX + 3; *n += (size_t)got) {
		got = file_read_some(fd, key->text + *n, TEACHER_KEY_MAX + 3 - *n, path, err);
		if (got < 0)
			return -1;
	}
	if (*n && key->text[*n - 1] == '\n')
		--*n;
	if (*n && key->text[*n - 1] == '\r')
		--*n;
	return 0;
}

int teacher_key_from_file(struct teacher_key *key, const char *path, struct err *err)
{
	size_t n = 0;
	if (key_map(key, err))
		return -1;
	int fd = open_private(path, err);
	int rc = fd < 0 || read_key(key, fd, path, &n, err) || key_accept(key, n, path, err);
	if (fd >= 0)
		close(fd);
	if (!rc) {
		key->text[n] = '\0';
		return 0;
	}
	teacher_key_release(key);
	return -1;
}

/* Bit of the eight bytes at s in a set that knows most strangers without looking at the key. */
static uint32_t window_bit(const char *s)
{
	uint64_t word;
	memcpy(&word, s, sizeof word);
	return (uint32_t)((word * 0x9E3779B97F4A7C15u) >> 48);
}

/* Letters of one case are a word, digits a number: with a key like sk-00000000 answers would lose theirs. */
static bool is_word(const char *s)
{
	bool lower = true, upper = true, digit = true;
	for (size_t i = 0; i < TEACHER_KEY_RUN; i++) {
		lower = lower && s[i] >= 'a' && s[i] <= 'z';
		upper = upper && s[i] >= 'A' && s[i] <= 'Z';
		digit = digit && s[i] >= '0' && s[i] <= '9';
	}
	return lower || upper || digit;
}

/* How many of the n bytes at s, at least a run, are the key's. */
static size_t key_part(const struct teacher_key *key, const uint8_t *filter, const char *s, size_t n)
{
	uint32_t bit = window_bit(s);
	if (!(filter[bit / 8] >> bit % 8 & 1) || !memmem(key->text, key->n, s, TEACHER_KEY_RUN))
		return 0;
	if (key->n >= WHOLE && n >= key->n && !memcmp(key->text, s, key->n))
		return key->n;
	return key->whole || is_word(s) ? 0 : TEACHER_KEY_RUN;
}

/* Windows that overlap or touch are one stretch; it is written when it has ended, behind all that is still read. */
static size_t redact(const struct teacher_key *key, const uint8_t *filter, char *text, size_t n)
{
	size_t out = 0, until = 0;
	for (size_t in = 0; in <= n; in++) {
		size_t part = n - in >= TEACHER_KEY_RUN ? key_part(key, filter, text + in, n - in) : 0;
		if (part) {
			until = in + part > until ? in + part : until;
		} else if (until && in == until) {
			memcpy(text + out, mark, sizeof mark - 1);
			out += sizeof mark - 1;
		}
		if (in >= until && in < n)
			text[out++] = text[in];
	}
	return out;
}

static size_t redact_one(const struct teacher_key *key, char *text, size_t n)
{
	uint8_t filter[FILTER_BITS / 8] = {0};
	if (!key->text || key->n < TEACHER_KEY_RUN || n < TEACHER_KEY_RUN)
		return n;
	for (size_t i = 0; i + TEACHER_KEY_RUN <= key->n; i++) {
		uint32_t bit = window_bit(key->text + i);
		filter[bit / 8] |= (uint8_t)(1u << bit % 8);
	}
	return redact(key, filter, text, n);
}

size_t teacher_key_redact(const struct teacher_key *key, char *text, size_t n)
{
	for (; key; key = key->next)
		n = redact_one(key, text, n);
	return n;
}

void teacher_key_redact_text(const struct teacher_key *key, char *text)
{
	text[teacher_key_redact(key, text, strlen(text))] = '\0';
}
