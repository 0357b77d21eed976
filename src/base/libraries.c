// SPDX-License-Identifier: Apache-2.0
#include "src/base/libraries.h"

#include <json-c/json_c_version.h>
#include <openssl/crypto.h>
#include <yaml.h>

static const char *crypto_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}

const struct library base_libraries[] = {
	{"json-c", json_c_version},
	{"libyaml", yaml_get_version_string},
	{"libcrypto", crypto_version},
	{0},
};
