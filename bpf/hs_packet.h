/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets, as far as programs look into them. The UAPI headers that have these names bring more
 * than a BPF program can take. */
#pragma once

#define ETH_P_IP   0x0800
#define ETH_P_IPV6 0x86dd

#define IPPROTO_TCP 6
#define IPPROTO_UDP 17

#define TCP_FLAGS 13 /* offset of the flags in the header */
#define TCP_SYN	  0x02
#define TCP_ACK	  0x10
