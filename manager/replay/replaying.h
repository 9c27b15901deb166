/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hs-replay: remembers the templates that exporters of NetFlow v9 and IPFIX send to one service,
 * and sends them once more when hsd says so (core/wire/replay.h), to a slot that is about to get an
 * exporter and has never heard it: a rule of hsd's leads what it sends there.
 *
 * It listens with raw sockets for UDP, which get a copy of what reaches this machine and its
 * firewall lets in; a filter in the kernel throws away all but datagrams with templates to the
 * service's ports (replay/filter.h). Templates are kept in memory only, in bounds
 * (core/wire/exporters.h), and what is sent again is templates alone, never flows that stood beside
 * them. So losing it, or hsd, loses what exporters will say again; traffic does not come by it.
 *
 * What it reads was sent by anybody, so it has a user of its own and CAP_NET_RAW, and nothing else.
 * What it sends leaves no machine: it goes to loopback, or to an address that is this machine's,
 * with one hop to live.
 */
#pragma once

/* Serves hsd until it is gone. -errno when that cannot even begin. */
int replaying_run(int fd);
