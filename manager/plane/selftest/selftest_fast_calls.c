// SPDX-License-Identifier: GPL-2.0-or-later
/* Self-tests of the fast path: what single system calls and options make of it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "plane/selftest/fast_link.h"
#include "plane/selftest/selftest_checks.h"
#include "plane/selftest/selftest_fast_checks.h"
#include "util/macro.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* Who has been woken for nothing is asleep again by then. */
#define ASLEEP_MS 50

#define CLIENT HS_FAST_CLIENT
#define SERVER HS_FAST_SERVER

/* Each of these has a link to itself: the client sends, the server is looked at. */
static void on_link(bool (*works)(struct fast_link *link), const char *detail,
		    struct ability_result *result)
{
	struct fast_link link;

	if (!fast_link_open(&link, result))
		return;
	fast_link_judge(&link, CLIENT, works(&link), detail, result);
	fast_link_close(&link);
}

/* ---- reading ---- */

static bool peek(struct fast_link *link)
{
	char bytes[8];

	return fast_link_send(link, CLIENT, "look") &&
	       recv(link->ends[SERVER], bytes, 4, MSG_PEEK) == 4 && !memcmp(bytes, "look", 4) &&
	       recv(link->ends[SERVER], bytes, 2, MSG_PEEK) == 2 && !memcmp(bytes, "lo", 2) &&
	       fast_link_reads(link, SERVER, "look");
}

void selftest_fast_peek(struct ability_result *result)
{
	on_link(peek, "it shows something else, or takes it", result);
}

static size_t fill(int fd)
{
	static const char piece[65536];
	size_t sent = 0;
	ssize_t n;

	while ((n = send(fd, piece, sizeof(piece), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		sent += (size_t)n;
	return sent;
}

static bool drain(int fd, size_t size)
{
	static char piece[65536];
	ssize_t n;

	for (; size; size -= (size_t)n) {
		n = recv(fd, piece, MIN(size, sizeof(piece)), 0);
		if (n <= 0)
			return false;
	}
	return true;
}

/* A process waits for a byte where another one has filled the send buffer; that is emptied, which
 * wakes both. Then the byte comes. */
static bool wait_on(struct fast_link *link)
{
	int client = link->ends[CLIENT], server = link->ends[SERVER], status = 1;
	size_t sent;
	pid_t reader;
	char byte;

	if (!fast_link_send(link, CLIENT, "fast") || !fast_link_reads(link, SERVER, "fast"))
		return false;
	sent = fill(client);
	reader = fork();
	if (!reader)
		_exit(recv(client, &byte, 1, 0) != 1);
	(void)poll(NULL, 0, ASLEEP_MS);
	if (reader < 0 || !drain(server, sent))
		return false;
	(void)poll(NULL, 0, ASLEEP_MS);
	return send(server, "x", 1, MSG_NOSIGNAL) == 1 && waitpid(reader, &status, 0) == reader &&
	       !status;
}

void selftest_fast_blocking(struct ability_result *result)
{
	on_link(wait_on, "it returns with nothing", result);
}

/* It is to wait for the rest until its time is up. */
static bool wait_for_all(struct fast_link *link)
{
	double begin = fast_link_clock();
	char bytes[8];

	return fast_link_send(link, CLIENT, "half") &&
	       recv(link->ends[SERVER], bytes, 8, MSG_WAITALL) == 4 &&
	       fast_link_clock() - begin > FAST_WAIT_MS / 2000.0;
}

void selftest_fast_waitall(struct ability_result *result)
{
	on_link(wait_for_all, "it returns with a part", result);
}

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	return poll(&wait, 1, timeout_ms) == 1;
}

static bool sleep_until_enough(struct fast_link *link)
{
	int enough = 8;

	return !setsockopt(link->ends[SERVER], SOL_SOCKET, SO_RCVLOWAT, &enough, sizeof(enough)) &&
	       fast_link_send(link, CLIENT, "half") && !is_readable(link->ends[SERVER], 20) &&
	       fast_link_send(link, CLIENT, "half") &&
	       is_readable(link->ends[SERVER], FAST_WAIT_MS);
}

void selftest_fast_lowat(struct ability_result *result)
{
	on_link(sleep_until_enough, "a reader is woken for less", result);
}

static bool tell_how_much(struct fast_link *link)
{
	int n = 0;

	return fast_link_send(link, CLIENT, "much") && !ioctl(link->ends[SERVER], FIONREAD, &n) &&
	       n == 4 && fast_link_reads(link, SERVER, "much") &&
	       !ioctl(link->ends[SERVER], FIONREAD, &n) && n == 0;
}

/* Behind what came by the fast way, what comes by TCP. */
static bool tell_behind(struct fast_link *link)
{
	static char large[100000];
	int n = 0;

	return fast_link_send(link, CLIENT, "fast") && fast_link_reads(link, SERVER, "fast") &&
	       send(link->ends[CLIENT], large, sizeof(large), MSG_DONTWAIT | MSG_NOSIGNAL) > 0 &&
	       is_readable(link->ends[SERVER], FAST_WAIT_MS) &&
	       !ioctl(link->ends[SERVER], FIONREAD, &n) && n > 0 && n <= (int)sizeof(large) &&
	       recv(link->ends[SERVER], large, (size_t)n, MSG_DONTWAIT) == n;
}

void selftest_fast_fionread(struct ability_result *result)
{
	on_link(tell_behind, "of what came by TCP it says something else", result);
	if (result->verdict == ABILITY_WORKS)
		on_link(tell_how_much, "it says something else", result);
}

static bool splice_out(struct fast_link *link)
{
	char bytes[8] = "";
	bool works = false;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	if (fast_link_send(link, CLIENT, "spliced") &&
	    is_readable(link->ends[SERVER], FAST_WAIT_MS))
		works = splice(link->ends[SERVER], NULL, ends[1], NULL, 7, SPLICE_F_NONBLOCK) ==
				7 &&
			read(ends[0], bytes, 7) == 7 && !memcmp(bytes, "spliced", 7);
	close_fd(ends[0]);
	close_fd(ends[1]);
	return works;
}

void selftest_fast_splice(struct ability_result *result)
{
	on_link(splice_out, "what is there does not come", result);
}

/* ---- waiting ---- */

static bool time_is_up(struct fast_link *link)
{
	double begin = fast_link_clock();
	char byte;

	return fast_link_send(link, CLIENT, "x") && fast_link_reads(link, SERVER, "x") &&
	       recv(link->ends[SERVER], &byte, 1, 0) < 0 && errno == EAGAIN &&
	       fast_link_clock() - begin > FAST_WAIT_MS / 2000.0;
}

void selftest_fast_times(struct ability_result *result)
{
	on_link(time_is_up, "the wait did not end as it should", result);
}

static bool told(int epoll, bool of_something)
{
	struct epoll_event event;

	return epoll_wait(epoll, &event, 1, of_something ? FAST_WAIT_MS : 0) == of_something;
}

static bool tell_epoll(struct fast_link *link, unsigned edge)
{
	struct epoll_event event = {.events = EPOLLIN | edge};
	_cleanup_(close_fdp) int epoll = epoll_create1(EPOLL_CLOEXEC);

	return !epoll_ctl(epoll, EPOLL_CTL_ADD, link->ends[SERVER], &event) && told(epoll, false) &&
	       fast_link_send(link, CLIENT, "one") && told(epoll, true) && told(epoll, !edge) &&
	       fast_link_send(link, CLIENT, "two") && told(epoll, true) &&
	       fast_link_reads(link, SERVER, "onetwo") && told(epoll, false) &&
	       fast_link_send(link, CLIENT, "end") && told(epoll, true) &&
	       fast_link_reads(link, SERVER, "end");
}

/* A reader by edge that takes a read that was not filled for the last one, as epoll(7) says. TLS
 * goes over at once, whatever waits to be read. */
static bool tell_of_all(struct fast_link *link)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	_cleanup_(close_fdp) int epoll = epoll_create1(EPOLL_CLOEXEC);
	char bytes[64];

	return fast_link_send(link, CLIENT, "fast") &&
	       fast_link_send(link, CLIENT, "\x16\x03\x01") &&
	       !epoll_ctl(epoll, EPOLL_CTL_ADD, link->ends[SERVER], &event) && told(epoll, true) &&
	       recv(link->ends[SERVER], bytes, sizeof(bytes), MSG_DONTWAIT) == 4 &&
	       epoll_wait(epoll, &event, 1, 2000) == 1 &&
	       recv(link->ends[SERVER], bytes, sizeof(bytes), MSG_DONTWAIT) == 3;
}

void selftest_fast_edge(struct ability_result *result)
{
	on_link(tell_of_all, "what comes by TCP behind it is not told", result);
}

static bool tell_both(struct fast_link *link)
{
	return tell_epoll(link, 0) && fast_link_again(link) && tell_epoll(link, EPOLLET);
}

void selftest_fast_epoll(struct ability_result *result)
{
	on_link(tell_both, "it tells of nothing, or of what is not there", result);
}

/* ---- sending ---- */

static bool send_file(struct fast_link *link)
{
	static char bytes[50000], read_back[sizeof(bytes)];
	_cleanup_(close_fdp) int file = memfd_create("file", MFD_CLOEXEC);
	off_t from = 0;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	if (file < 0 || write(file, bytes, sizeof(bytes)) != sizeof(bytes))
		return false;
	while (from < (off_t)sizeof(bytes))
		if (sendfile(link->ends[CLIENT], file, &from, sizeof(bytes) - (size_t)from) <= 0)
			return false;
	for (size_t done = 0; done < sizeof(bytes);) {
		ssize_t n = recv(link->ends[SERVER], read_back + done, sizeof(bytes) - done, 0);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return !memcmp(bytes, read_back, sizeof(bytes));
}

void selftest_fast_sendfile(struct ability_result *result)
{
	on_link(send_file, "it came otherwise", result);
}

static bool tell_when_done(struct fast_link *link)
{
	struct pollfd wait = {.fd = link->ends[CLIENT]};
	char control[128];
	struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};
	int one = 1;

	if (setsockopt(link->ends[CLIENT], SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) < 0 ||
	    send(link->ends[CLIENT], "zero", 4, MSG_ZEROCOPY | MSG_NOSIGNAL) != 4 ||
	    !fast_link_reads(link, SERVER, "zero"))
		return false;
	return poll(&wait, 1, 100) == 1 && wait.revents & POLLERR &&
	       recvmsg(link->ends[CLIENT], &message, MSG_ERRQUEUE) >= 0;
}

void selftest_fast_zerocopy(struct ability_result *result)
{
	on_link(tell_when_done, "nobody tells", result);
}

static bool send_urgent(struct fast_link *link)
{
	struct pollfd wait = {.fd = link->ends[SERVER], .events = POLLPRI};
	char byte = 0;

	return fast_link_send(link, CLIENT, "a") && fast_link_reads(link, SERVER, "a") &&
	       send(link->ends[CLIENT], "!", 1, MSG_OOB | MSG_NOSIGNAL) == 1 &&
	       poll(&wait, 1, 100) == 1 && recv(link->ends[SERVER], &byte, 1, MSG_OOB) == 1 &&
	       byte == '!';
}

void selftest_fast_urgent(struct ability_result *result)
{
	on_link(send_urgent, "it comes as one among the others", result);
}

/* ---- what is seen from outside ---- */

static bool stamp(struct fast_link *link)
{
	struct hs_fast_pair pair;
	uint64_t first;

	if (!fast_link_send(link, CLIENT, "x") ||
	    fast_stage_pair(&link->stage, link->ends[CLIENT], &pair))
		return false;
	first = pair.directions[CLIENT].last_ns;
	(void)poll(NULL, 0, 30);
	return first && fast_link_send(link, CLIENT, "y") &&
	       !fast_stage_pair(&link->stage, link->ends[CLIENT], &pair) &&
	       pair.directions[CLIENT].last_ns > first;
}

void selftest_fast_stamps(struct ability_result *result)
{
	on_link(stamp, "the time stands still", result);
}

/* ---- other protocols ---- */

static bool went_over(const struct fast_link *link, unsigned why)
{
	return fast_stage_counts(&link->stage).why[why] > 0;
}

static bool handshake_goes_over(struct fast_link *link)
{
	return fast_link_send(link, CLIENT, "STARTTLS") &&
	       fast_link_send(link, CLIENT, "\x16\x03\x01") && went_over(link, HS_FAST_WHY_TLS) &&
	       fast_link_reads(link, SERVER, "STARTTLS\x16\x03\x01");
}

/* Not to have a module loaded that nobody else wants. */
static bool has_tls(void)
{
	return !access("/proc/net/tls_stat", F_OK);
}

static bool encrypt(int fd, int direction)
{
	struct tls12_crypto_info_aes_gcm_128 keys = {
		.info = {.version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128},
		.key = "0123456789abcde",
	};

	return !setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) &&
	       !setsockopt(fd, SOL_TLS, direction, &keys, sizeof(keys));
}

/* Also where the kernel has no such cipher, or refuses to encrypt on connections of sockmaps,
 * as 6.1.192 does (EINVAL): programs then do it themselves. */
static bool kernel_encrypts(struct fast_link *link)
{
	if (!fast_link_send(link, CLIENT, "plain") || !fast_link_reads(link, SERVER, "plain"))
		return false;
	if (!encrypt(link->ends[SERVER], TLS_RX) || !encrypt(link->ends[CLIENT], TLS_TX))
		return true;
	return fast_link_send(link, CLIENT, "secret") && fast_link_reads(link, SERVER, "secret") &&
	       went_over(link, HS_FAST_WHY_TLS);
}

static bool tls(struct fast_link *link)
{
	return handshake_goes_over(link) &&
	       (!has_tls() || (fast_link_again(link) && kernel_encrypts(link)));
}

void selftest_fast_tls(struct ability_result *result)
{
	on_link(tls, "it went the fast way, or came otherwise", result);
}

void selftest_fast_mptcp(struct ability_result *result)
{
	struct hs_fast_pair pair;
	struct fast_link link;
	bool works;
	int fd;

	if (!fast_link_open(&link, result))
		return;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (fd < 0 || connect(fd, (struct sockaddr *)&link.at, sizeof(link.at)) < 0) {
		selftest_set(result, ABILITY_UNKNOWN, "MPTCP: %m");
	} else {
		close_fd(link.ends[CLIENT]);
		close_fd(link.ends[SERVER]);
		link.ends[CLIENT] = fd;
		link.ends[SERVER] = accept4(link.listener, NULL, NULL, SOCK_CLOEXEC);
		works = fast_link_send(&link, CLIENT, "many") &&
			fast_link_reads(&link, SERVER, "many") &&
			fast_stage_pair(&link.stage, fd, &pair);
		selftest_set(result, works ? ABILITY_WORKS : ABILITY_FAILS, "%s",
			     works ? "" : "it is on the fast path, or broken");
	}
	fast_link_close(&link);
}
