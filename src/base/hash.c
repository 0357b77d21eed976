// SPDX-License-Identifier: Apache-2.0
#include "src/base/hash.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <unistd.h>

#include "src/base/file.h"

enum { PIECE = 64 * 1024 };

/* libcrypto says where SHA-256 is switched off; else it lacked memory, perhaps even to say so. */
static int refused(struct err *err)
{
	bool off = false, memory = false;

	for (unsigned long reason; (reason = ERR_get_error());) {
		off = off || ERR_GET_REASON(reason) == ERR_R_UNSUPPORTED;
		memory = memory || ERR_GET_REASON(reason) == ERR_R_MALLOC_FAILURE;
	}
	if (off && !memory)
		return err_set(err, ERR_INTERNAL, "libcrypto cannot compute SHA-256; check its configuration");
	return err_set(err, ERR_MEMORY, "out of memory for SHA-256");
}

int hash_init(struct hash *hash, struct err *err)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	hash->context = context;
	if (!context)
		return refused(err);
	if (EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1)
		return 0;
	hash_release(hash);
	return refused(err);
}

int hash_update(struct hash *hash, const void *bytes, size_t n, struct err *err)
{
	return EVP_DigestUpdate(hash->context, bytes, n) == 1 ? 0 : refused(err);
}

int hash_final(unsigned char digest[HASH_SIZE], struct hash *hash, struct err *err)
{
	return EVP_DigestFinal_ex(hash->context, digest, NULL) == 1 ? 0 : refused(err);
}

void hash_release(struct hash *hash)
{
	EVP_MD_CTX_free(hash->context);
	hash->context = NULL;
}

int hash_bytes(unsigned char digest[HASH_SIZE], const void *bytes, size_t n, struct err *err)
{
	return EVP_Digest(bytes, n, digest, NULL, EVP_sha256(), NULL) == 1 ? 0 : refused(err);
}

static int hash_stream(unsigned char digest[HASH_SIZE], struct hash *hash, int fd, const char *path, struct err *err)
{
	unsigned char piece[PIECE];
	ssize_t got;

	while ((got = file_read_some(fd, piece, sizeof piece, path, err)) > 0) {
		if (hash_update(hash, piece, (size_t)got, err))
			return -1;
	}
	return got < 0 ? -1 : hash_final(digest, hash, err);
}

int hash_file(unsigned char digest[HASH_SIZE], const char *path, struct err *err)
{
	struct hash hash;
	int failed = -1;
	int fd = file_open(path, NULL, err);

	if (fd < 0)
		return -1;
	if (!hash_init(&hash, err)) {
		failed = hash_stream(digest, &hash, fd, path, err);
		hash_release(&hash);
	}
	close(fd);
	return failed;
}

void hash_hex(char hex[HASH_HEX_ROOM], const unsigned char digest[HASH_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < HASH_SIZE; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[2 * HASH_SIZE] = '\0';
}
