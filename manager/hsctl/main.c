// SPDX-License-Identifier: GPL-2.0-or-later
/* hsctl: the command. What it does is in the verbs. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hsctl/commandline.h"
#include "hsctl/hsctl.h"
#include "hsctl/verb_table.h"
#include "hsctl/verbs.h"
#include "plane/bpf/load.h"

static bool may_color(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return !(no_color && no_color[0]) && term && isatty(STDOUT_FILENO);
}

static int run(const struct arguments *arguments)
{
	if (arguments->help) {
		verb_help(arguments->verb, stdout);
		return EXIT_DONE;
	}
	if (arguments->version) {
		puts("hsctl " HS_VERSION);
		return EXIT_DONE;
	}
	if (arguments->list_verbs) {
		verb_list_names(stdout);
		return EXIT_DONE;
	}
	if (arguments->verb->root && geteuid()) {
		complain("only root may do this: %s; run it with sudo", arguments->verb->root);
		return EXIT_FAILED;
	}
	return arguments->verb->run(arguments);
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	struct problem problem = {0};
	int exit_code;

	load_quietly();
	verb_table_use();
	/* characters only: numbers and sentences are the same everywhere */
	setlocale(LC_CTYPE, "");
	if (arguments_parse(argc, argv, &arguments, &problem) < 0) {
		complain("%s", problem.text);
		return EXIT_USAGE;
	}
	arguments.color &= may_color();
	exit_code = run(&arguments);
	if (fflush(stdout) || ferror(stdout)) {
		complain("cannot write the answer: %m");
		return exit_code ? exit_code : EXIT_FAILED;
	}
	return exit_code;
}
