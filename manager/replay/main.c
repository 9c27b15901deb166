// SPDX-License-Identifier: GPL-2.0-or-later
/* hs-replay: started by hsd, through systemd, with a socket as its standard input. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "replay/replaying.h"

int main(void)
{
	int type = 0;
	socklen_t size = sizeof(type);

	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
	    type != SOCK_SEQPACKET) {
		fputs("hs-replay: this is started by hsd, see hsd(8)\n", stderr);
		return 2;
	}
	return replaying_run(STDIN_FILENO) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
