/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fuzz target without libFuzzer: runs over the files that it is given, and prints TAP. What is
 * found ends it. */
#include <stdio.h>

#include "fuzz.h"
#include "util/macro.h"

#define INPUT_MAX (1 << 20)

static int run_file(const char *path)
{
	_cleanup_(freep) uint8_t *data = malloc(INPUT_MAX);
	FILE *file = fopen(path, "rbe");
	size_t size;

	if (!data || !file) {
		perror(path);
		if (file)
			fclose(file);
		return -1;
	}
	size = fread(data, 1, INPUT_MAX, file);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++) {
		/* what ends the process is named by the line before it */
		printf("# %s\n", argv[i]);
		fflush(stdout);
		if (run_file(argv[i]) < 0) {
			printf("not ok %d - %s\n", i, argv[i]);
			failed = 1;
		} else {
			printf("ok %d - %s\n", i, argv[i]);
		}
	}
	return failed;
}
