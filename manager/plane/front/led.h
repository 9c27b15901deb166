/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Led connections (bpf/front/hs_led.h): those that this machine begins to a front's address, and
 * that come to one host by the path that clients' packets take. For probes; for `hsctl exec` see
 * plane/front/led_exec.h.
 *
 * The programs are on the devices that lead to hosts, and stay there when we end. An owner makes
 * led connections between led_begin() and led_end(); what dead ones have left, led_sweep() takes
 * away.
 *
 *	led_open(&led, &problem);
 *	led_device(led, ifindex, &problem);
 *	led_begin(led, &owner);
 *	led_path(&host, address, port, IPPROTO_TCP, &path);
 *	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
 *	led_direct(led, &owner, &path, fd, &to);
 *	connect(fd, &to, ...); ...
 *	led_landed(led, fd, &landing);
 *	led_forget(led, fd);
 *	close(fd);
 *	led_end(led, &owner);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/config/config_front.h"
#include "hs_led.h"
#include "util/problem.h"

struct led;

/* Makes what is missing; programs of another build are replaced, also on devices. */
int led_open(struct led **ret_led, struct problem *problem);
/* What is there. -ENOENT: nothing, or of another build. */
int led_attach(struct led **ret_led);
struct led *led_free(struct led *led);
/* What is pinned is not this any more: it was taken away, and made anew perhaps. It is looked once
 * in a second. */
bool led_is_stale(struct led *led);

/* Puts the programs on a device. Again is no harm, and cheap: it is looked once in a second. */
int led_device(struct led *led, uint32_t ifindex, struct problem *problem);
/* With the last front: off all devices, and the pins away. 0 also when there is nothing. */
int led_remove(void);

/* A host, as the settings have it. */
struct led_host {
	uint32_t service_id;
	unsigned slot;
	unsigned mode; /* enum front_mode */
	uint8_t ip[16];
};
/* The path to it by an address of the service, host byte order. -EAFNOSUPPORT: it is of the other
 * family; -errno of connect(2): there is no way to the host. */
int led_path(const struct led_host *host, const uint8_t address[16], uint16_t port,
	     uint8_t protocol, struct hs_led_path *ret_path);
/* An address and a port, network byte order, as a socket's. Returns the size. */
socklen_t led_to(const uint8_t ip[16], uint16_t port, struct sockaddr_storage *ret_to);
/* What fits into a packet of such a connection, TCP's headers without options; 0: as without us. */
unsigned led_mss(const struct hs_led_path *path);

/* -EBUSY: the lock was held for a second. */
int led_begin(struct led *led, const struct hs_preview_owner_id *owner);
int led_end(struct led *led, const struct hs_preview_owner_id *owner);
/* The same for all owners that are no more. Returns how many, or -errno. A minute after the last
 * owner has gone the programs look at packets no more. */
int led_sweep(struct led *led);

/* Binds a socket, TCP or UDP and not yet bound or connected, to the address that it would reach the
 * host from and a free port, and notes it. `ret_to`: where to connect it to. -errno of bind(2) and
 * connect(2); -E2BIG: no room. Nothing blocks. */
int led_direct(struct led *led, const struct hs_preview_owner_id *owner,
	       const struct hs_led_path *path, int socket_fd, struct sockaddr_storage *ret_to);

/*
 * What became of it. With `led` and no `held` it went by its path; with `answered` something came
 * back by it. Without `led`, though it has sent, it left by another device, or somebody else's
 * program took it.
 */
struct led_landing {
	uint32_t led, held, answered;
};
/* -ENOENT: it was not noted. */
int led_landed(const struct led *led, int socket_fd, struct led_landing *ret_landing);
/* Before it is closed. What the kernel has to say yet is led all the same. */
void led_forget(const struct led *led, int socket_fd);

/* How many sockets are noted. */
unsigned led_count(const struct led *led);
/* For led_exec.c: the map. */
int led_sockets_fd(const struct led *led);
