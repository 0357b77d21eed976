// SPDX-License-Identifier: Apache-2.0
#include "src/student/prefix.h"

void prefix_add(struct prefix *prefix, const int32_t *prompt, int64_t n)
{
	if (!prefix->prompts++) {
		prefix->first = prompt;
		prefix->same = n - 1;
	}
	int64_t same = 0;
	while (same < prefix->same && same < n - 1 && prompt[same] == prefix->first[same])
		same++;
	prefix->same = same;
}

int64_t prefix_length(const struct prefix *prefix)
{
	return prefix->prompts > 1 ? prefix->same : 0;
}
