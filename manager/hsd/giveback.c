// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A package that is replaced by an older one asks for this while hsd runs: it must run on, for with
 * it the parks would be closed. So it is noted, and hsd does it as its last deed, in whatever
 * binary is on the disk by then; systemd keeps the parks until the older one has started.
 *
 * The note is in hsd's runtime folder, which is gone when hsd is stopped rather than restarted. One
 * that stays, as the older release was not installed after all, does no harm: the next hsd takes
 * the pins over and forgets it.
 */
#include "hsd/giveback.h"

#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "hs_abi.h"
#include "plane/bpf/handover.h"
#include "plane/bpf/load.h"
#include "plane/bpf/pins.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/parse.h"

#define NOTE "/run/hsd/hand-over"

static int complain(const char *text)
{
	fprintf(stderr, "hsd: %s\n", text);
	return EXIT_FAILURE;
}

/* For the hsd that runs. Without its folder none does, and who uses the pins is somebody else. */
static int note(unsigned abi, const struct problem *why)
{
	char text[16];

	snprintf(text, sizeof(text), "%u\n", abi);
	if (file_write(NOTE, text, 0600) < 0)
		return complain(why->text);
	printf("hsd runs, and hands over to version %u when it ends: install that release, then "
	       "systemctl restart hsd\n",
	       abi);
	return EXIT_SUCCESS;
}

int giveback_ask(const char *version)
{
	struct problem problem = {0};
	uint64_t abi;
	int r;

	if (parse_unsigned(version, 1, UINT8_MAX, &abi) < 0) {
		complain("--hand-over= takes the version of what is pinned, a number: see hsd(8)");
		return 2;
	}
	load_quietly();
	r = handover_give_back((unsigned)abi, false, &problem);
	if (r == -ETXTBSY)
		return note((unsigned)abi, &problem);
	return r < 0 ? complain(problem.text) : EXIT_SUCCESS;
}

/* A command that looks at the pins just now is waited for. */
void giveback_end(void)
{
	_cleanup_(freep) char *text = NULL;
	struct problem problem = {0};

	if (file_read(NOTE, 16, &text) < 0)
		return;
	pins_set_waiting(true);
	if (handover_give_back((unsigned)strtoul(text, NULL, 10), true, &problem) < 0)
		fprintf(stderr, SD_ERR "hsd: %s\n", problem.text);
	else
		unlink(NOTE);
}
