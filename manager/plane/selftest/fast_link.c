// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/selftest/fast_link.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "plane/selftest/selftest_checks.h"
#include "util/clock.h"
#include "util/macro.h"

static void set_patience(const struct fast_link *link)
{
	struct timeval patience = {.tv_usec = FAST_WAIT_MS * 1000};

	for (unsigned side = 0; side < HS_FAST_SIDES; side++) {
		setsockopt(link->ends[side], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(link->ends[side], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	}
}

bool fast_link_again(struct fast_link *link)
{
	for (unsigned side = 0; side < HS_FAST_SIDES; side++)
		link->ends[side] = close_fd(link->ends[side]);
	if (fast_stage_connect(&link->at, link->listener, &link->ends[HS_FAST_CLIENT],
			       &link->ends[HS_FAST_SERVER]))
		return false;
	set_patience(link);
	return true;
}

bool fast_link_open(struct fast_link *link, struct ability_result *result)
{
	struct problem problem;
	int r;

	*link = (struct fast_link) {.listener = -1, .ends = {-1, -1}};
	r = fast_stage_open(0, &link->stage, &problem);
	if (r) {
		link->stage = (struct fast_stage) {
			.cgroup = -1, .accept_link = -1, .connect_link = -1, .hold_link = -1};
		selftest_set(result,
			     r == -EPERM || r == -EACCES || r == -ENOMEM ? ABILITY_UNKNOWN
									 : ABILITY_FAILS,
			     "%s", problem.text);
		return false;
	}
	link->listener = fast_stage_listen(&link->stage, AF_INET, 0, &link->at);
	if (link->listener >= 0 && fast_link_again(link))
		return true;
	selftest_set(result, ABILITY_UNKNOWN, "no connection: %m");
	fast_link_close(link);
	return false;
}

void fast_link_close(struct fast_link *link)
{
	for (unsigned side = 0; side < HS_FAST_SIDES; side++)
		link->ends[side] = close_fd(link->ends[side]);
	link->listener = close_fd(link->listener);
	fast_stage_close(&link->stage);
}

bool fast_link_send(const struct fast_link *link, enum hs_fast_side side, const char *text)
{
	return send(link->ends[side], text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

bool fast_link_reads(const struct fast_link *link, enum hs_fast_side side, const char *text)
{
	size_t n = strlen(text), done = 0;
	char bytes[256];
	ssize_t r = 1;

	while (done < n && r > 0) {
		r = recv(link->ends[side], bytes + done, MIN(n, sizeof(bytes)) - done, 0);
		done += r > 0 ? (size_t)r : 0;
	}
	return done == n && !memcmp(bytes, text, n);
}

bool fast_link_is_fast(const struct fast_link *link, enum hs_fast_side side)
{
	return fast_stage_counts(&link->stage).fast_bytes[side] > 0;
}

void fast_link_judge(const struct fast_link *link, enum hs_fast_side side, bool works,
		     const char *detail, struct ability_result *result)
{
	if (!fast_link_is_fast(link, side))
		selftest_set(result, ABILITY_UNKNOWN, "nothing went the fast way");
	else
		selftest_set(result, works ? ABILITY_WORKS : ABILITY_FAILS, "%s",
			     works ? "" : detail);
}

double fast_link_clock(void)
{
	return (double)now_usec() / (double)USEC_PER_SEC;
}
