// SPDX-License-Identifier: Apache-2.0
/*
 * hash.h - SHA-256 (FIPS 180-4), computed by libcrypto; the identity of files
 * and requests. The only includer of libcrypto's headers is hash.c.
 *
 *     unsigned char digest[HASH_SIZE];
 *     char hex[HASH_HEX_ROOM];
 *     if (hash_file(digest, path, &err))
 *             return -1;
 *     hash_hex(hex, digest);
 *
 * In pieces: hash_init, any number of hash_update, hash_final; then
 * hash_release, in every case where hash_init succeeded. Bytes hashed in
 * pieces and at once give the same digest.
 *
 * Failures: ERR_INTERNAL where libcrypto refuses (SHA-256 disabled in its
 * configuration), ERR_MEMORY, and for hash_file those of file_open.
 */
#ifndef BALDISTILL_BASE_HASH_H
#define BALDISTILL_BASE_HASH_H

#include <stddef.h>

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
	HASH_SIZE = 32,                    /* bytes of a digest */
	HASH_HEX_ROOM = 2 * HASH_SIZE + 1, /* its hexadecimal text with the NUL */
};

struct hash {
	void *context; /* libcrypto's, owned; NULL once released */
};

int hash_init(struct hash *hash, struct err *err);
int hash_update(struct hash *hash, const void *bytes, size_t n, struct err *err);
/* Write the digest of all updates; no update may follow. */
int hash_final(unsigned char digest[HASH_SIZE], struct hash *hash, struct err *err);
void hash_release(struct hash *hash);

/* Digest of n bytes. */
int hash_bytes(unsigned char digest[HASH_SIZE], const void *bytes, size_t n, struct err *err);

/* Digest of a regular file's content, read in pieces. */
int hash_file(unsigned char digest[HASH_SIZE], const char *path, struct err *err);

/* The digest as 64 lower-case hexadecimal digits and a NUL. */
void hash_hex(char hex[HASH_HEX_ROOM], const unsigned char digest[HASH_SIZE]);

#ifdef __cplusplus
}
#endif
#endif
