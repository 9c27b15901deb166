// SPDX-License-Identifier: GPL-2.0-or-later
/* version: as --version, and for programs. */
#include "hs_abi.h"
#include "hsctl/verb/elsewhere.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"

int verb_version(const struct arguments *arguments)
{
	if (arguments->host || arguments->machine)
		return elsewhere_run(arguments);
	if (arguments->json)
		printf("{\"version\":\"%s\",\"abi\":%u}\n", HS_VERSION, (unsigned)HS_ABI_VERSION);
	else
		puts("hsctl " HS_VERSION);
	return EXIT_DONE;
}
