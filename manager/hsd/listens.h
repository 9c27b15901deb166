/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets that begin or cease to listen, as the kernel tells: an instance's late ones are adopted,
 * strangers on a service's port are looked at. Whoever listens how often, the event loop has time
 * for all else before: some records at a time, with one look at the kernel's list for all of them,
 * and looks that find nothing of ours come ever more seldom.
 */
#pragma once

struct manager;
struct listens;

/* Without accounting nothing is told. */
int listens_new(struct manager *manager, struct listens **ret_listens);
struct listens *listens_free(struct listens *listens);
