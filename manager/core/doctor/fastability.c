// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/doctor/fastability.h"

#include <stddef.h>

#include "util/macro.h"

#define NEWER "Use a newer kernel, or leave [FastPath] away"
#define KEEP_OFF \
	"Leave programs that do so out of From=, and the section away where the server does"

static const struct {
	const char *id, *what, *why, *remedy;
} abilities[] = {
	[FAST_ORDER] = {"fast.order", "Bytes arrive in order, whichever way they go",
			"Streams would be torn: the fast path is refused", NEWER},
	[FAST_FIN] = {"fast.fin", "The end comes behind the last byte",
		      "Streams would be cut short: the fast path is refused", NEWER},
	[FAST_RST] = {"fast.reset", "A reset is told, and what came before it can be read",
		      "Readers would wait for ever: the fast path is refused", NEWER},
	[FAST_STALL] = {"fast.stall", "Who does not read stops the writer",
			"Memory would be filled without bound: the fast path is refused",
			NEWER " (6.13 or later, or one with what came to stable kernels from "
			      "there)"},
	[FAST_NAMESPACES] = {"fast.namespaces",
			     "Network namespaces with the same addresses do not meet",
			     "Bytes would come to somebody else: the fast path is refused", NEWER},
	[FAST_EDGE] = {"fast.edge",
		       "A reader by edge that stops at a short read is told of what comes behind",
		       "It would wait for ever: the fast path is refused", NEWER},
	[FAST_HALF_CLOSE] = {"fast.half-close",
			     "One end may go on when the other one sends no more",
			     "Answers to who has said all would be lost", KEEP_OFF},
	[FAST_MOVED] = {"fast.moved", "A connection that is not accepted moves with its bytes",
			"What a client has sent would be lost with a slot that stops", NEWER},
	[FAST_DESTROY] = {"fast.destroy", "Connections can be ended by others",
			  "hsctl drain --reset would not end them", NEWER},
	[FAST_STAMPS] = {"fast.stamps", "It is known when something was last sent",
			 "Connections that are busy would be taken for idle", NEWER},
	[FAST_TLS] = {"fast.tls", "TLS goes by TCP, as the kernel may be doing it",
		      "What is encrypted would be mixed up with what is not", KEEP_OFF},
	[FAST_MPTCP] = {"fast.mptcp", "MPTCP stays as it is", "Its connections would break",
			KEEP_OFF},
	[FAST_TIMES] = {"fast.timeouts", "SO_RCVTIMEO and SO_SNDTIMEO end a wait",
			"Programs would wait for ever", KEEP_OFF},
	[FAST_EPOLL] = {"fast.epoll", "epoll tells of what comes, level and edge",
			"Programs would sleep for ever", NEWER},
	[FAST_PEEK] = {"fast.peek", "MSG_PEEK shows what comes and leaves it there",
		       "Programs that look before they read would read wrongly", KEEP_OFF},
	[FAST_SENDFILE] = {"fast.sendfile", "sendfile(2) sends a file", "Files would be cut short",
			   KEEP_OFF},
	[FAST_BLOCKING] =
		{"fast.blocking",
		 "A read that waits goes on to wait when its socket has room to write again",
		 "It returns with EAGAIN; programs that send more at a time than their "
		 "send buffer takes, and then read by a call that blocks, without poll(2) "
		 "before it, take that for an error",
		 KEEP_OFF},
	[FAST_WAITALL] = {"fast.waitall", "A read with MSG_WAITALL waits for all that it asks for",
			  "It returns with what there is, as after a signal; programs that take "
			  "that for the end break",
			  KEEP_OFF},
	[FAST_LOWAT] = {"fast.rcvlowat", "SO_RCVLOWAT has a reader sleep until so much is there",
			"It is woken for less; that costs time, and programs that count on it "
			"break",
			KEEP_OFF},
	[FAST_FIONREAD] = {"fast.fionread", "FIONREAD tells how much can be read",
			   "It says 0 where something is; programs that go by it wait for ever: "
			   "nginx when a read has filled its buffer, Java's available(), Qt",
			   KEEP_OFF},
	[FAST_SPLICE] = {"fast.splice", "Readers by splice(2) get what comes",
			 "They get nothing; proxies in Go read so, and HAProxy with option "
			 "splice-auto, splice-request or splice-response",
			 KEEP_OFF},
	[FAST_ZEROCOPY] = {"fast.zerocopy", "Who sends with MSG_ZEROCOPY is told when it is done",
			   "The message is sent, but nobody tells; programs that wait for it keep "
			   "their memory for ever",
			   KEEP_OFF},
	[FAST_URGENT] = {"fast.urgent", "MSG_OOB sends an urgent byte",
			 "It comes as one among the others (telnet, FTP, rlogin use it)", KEEP_OFF},
	[FAST_UNREAD] = {"fast.unread", "Who closes with unread data resets the connection",
			 "The other end sees an end instead of a reset; it is told when it sends "
			 "something",
			 KEEP_OFF},
	[FAST_LARGE] = {"fast.large", "More than 4 GiB go over one connection",
			"Long streams would stop", NEWER},
};
_Static_assert(ARRAY_SIZE(abilities) == FAST_ABILITY_COUNT, "words for each ability");

const char *fast_ability_to_string(enum fast_ability ability)
{
	return abilities[ability].id;
}

const char *fast_ability_what(enum fast_ability ability)
{
	return abilities[ability].what;
}

const char *fast_ability_why(enum fast_ability ability)
{
	return abilities[ability].why;
}

const char *fast_ability_remedy(enum fast_ability ability)
{
	return abilities[ability].remedy;
}

uint32_t fast_ability_vital(void)
{
	return (1U << (FAST_EDGE + 1)) - 1;
}

bool fast_ability_refuses(const struct ability_result *results, const char *release,
			  struct problem *ret_sentence)
{
	for (unsigned i = 0; i < FAST_ABILITY_COUNT; i++) {
		if (!(fast_ability_vital() & 1U << i) || results[i].verdict == ABILITY_WORKS)
			continue;
		/* hsd may make no namespaces; who enables a service may, and has tried */
		if (i == FAST_NAMESPACES && results[i].verdict == ABILITY_UNKNOWN)
			continue;
		problem_set(ret_sentence, 0,
			    "[FastPath] cannot be had on this kernel (%s): %s, which was tried: "
			    "\"%s\" %s; see hsctl doctor --fastpath",
			    release, results[i].detail, abilities[i].what,
			    results[i].verdict == ABILITY_FAILS ? "does not hold"
								: "could not be tried");
		return true;
	}
	return false;
}
