// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/typed.h"

#include <stddef.h>
#include <string.h>

struct typed typed_show(const char *typed)
{
	struct typed shown = {0};
	size_t i = 0;

	for (; typed[i] && i < sizeof(shown.text) - 1; i++)
		shown.text[i] = typed[i] >= ' ' && typed[i] != 0x7f ? typed[i] : '?';
	if (typed[i])
		memcpy(shown.text + sizeof(shown.text) - 4, "...", 3);
	return shown;
}
