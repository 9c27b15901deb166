/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A front to try: on a TAP device of the rig, so that its programs run in the driver, with three
 * hosts whose MAC addresses are known, 192.0.2.11 and on, 2001:db8::11 and on, slots 0, 1, 2.
 * Clients' packets come from a router with the MAC address CLIENT_MAC.
 */
#pragma once

#include "core/config/config_front.h"
#include "frames.h"
#include "hs_front.h"
#include "plane/front/front.h"
#include "rig.h"

#define DEVICE	   "front0"
#define OWN_MAC	   "02:00:00:00:00:01"
#define CLIENT_MAC "02:00:00:00:00:99"
#define SERVICE	   "198.51.100.10"
#define SERVICE6   "2001:db8:1::10"
#define CLIENT	   "203.0.113.5"
#define CLIENT6	   "2001:db8:2::5"

extern const char *const stand_hosts[3], *const stand_hosts6[3], *const stand_macs[3];

struct stand {
	struct rig *rig;
	int tap;
	uint32_t ifindex;
	struct config_front config;
	struct front *front;
	int program; /* of the device */
};

/* Slot 0 is active, all take. Of both families, but with nat. In a rig with planes. */
struct stand stand_begin(struct rig *rig, unsigned mode, const char *const given[]);
void stand_end(struct stand *stand);

struct plane;
struct front_maps stand_maps(const struct plane *plane);
/* As front_apply() with the stand's settings. */
int stand_try_apply(struct stand *stand, struct problem *problem);
void stand_apply(struct stand *stand);
void stand_set_host(struct config_front *config, unsigned host, const char *text);
void stand_take_all(struct stand *stand);
/* What the program says of the frame, which it changes. */
unsigned stand_run(const struct stand *stand, struct frame *frame);
/* A SYN. */
struct frame_spec frame_from_client(const char *client, const char *service);
/* What the programs read of the front; the caller gives it back by munmap(). */
struct hs_front *stand_shared(const struct stand *stand);
/* The hosts have this address for the programs, so that nat to them can be done twice. */
void stand_same_address(const struct stand *stand, const char *address);
void stand_command(const char *template, ...) __attribute__((format(printf, 1, 2)));
