// SPDX-License-Identifier: Apache-2.0
#include "src/base/yaml_expand.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/grown.h"
#include "src/base/text.h"
#include "src/base/yamlio.h"

/* The value of the variable whose name is name[0..n), or NULL with an error. */
static const char *variable(const char *name, size_t n, struct err *err)
{
	char word[128], shown[128];
	const char *value;

	text_escape(shown, sizeof shown, name, n);
	if (!n || n >= sizeof word || (name[0] >= '0' && name[0] <= '9')) {
		err_set(err, ERR_CONFIG, "'${%s' does not name a variable; write $${ for a plain ${", shown);
		return NULL;
	}
	memcpy(word, name, n);
	word[n] = '\0';
	value = getenv(word);
	if (!value)
		err_set(err, ERR_CONFIG, "the environment variable '%s' is not set", word);
	else if (text_utf8_valid(value, strlen(value)) < strlen(value))
		err_set(err, ERR_CONFIG, "the environment variable '%s' is not UTF-8", word);
	else
		return value;
	return NULL;
}

/* The value for the ${ where *at stands, which moves behind the }. */
static const char *replacement(const char **at, struct err *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
	const char *name = *at + 2;
	size_t n = strspn(name, allowed);

	if (name[n] != '}')
		n = 0;
	*at = name + n + 1;
	return variable(name, n, err);
}

static int add(struct grown *out, size_t *expanded, const char *bytes, size_t n, struct err *err)
{
	*expanded += n;
	if (*expanded > YAML_MAX_BYTES)
		return err_set(err, ERR_CONFIG, "more than %d bytes of text after replacement", YAML_MAX_BYTES);
	grown_add(out, bytes, n);
	return 0;
}

/* One piece: plain bytes, a variable, an escaped or a lonely $. */
static int add_piece(struct grown *out, size_t *expanded, const char **at, struct err *err)
{
	size_t n = strcspn(*at, "$"), escaped = !strncmp(*at, "$${", 3);
	const char *piece = *at + escaped;

	if (!n && !strncmp(*at, "${", 2)) {
		piece = replacement(at, err);
		return piece ? add(out, expanded, piece, strlen(piece), err) : -1;
	}
	n = n ? n : 1 + escaped;
	*at = piece + n;
	return add(out, expanded, piece, n, err);
}

char *yaml_expand(const char *verbatim, size_t *expanded, struct err *err)
{
	struct grown out = {0};
	int failed = 0;

	while (*verbatim && !failed)
		failed = add_piece(&out, expanded, &verbatim, err);
	if (!failed)
		return grown_take(&out, err);
	grown_release(&out);
	return NULL;
}
