// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From one version of what is pinned to the next, and back.
 *
 * What decides about a connection is never copied, it stays where it is, and both versions look at
 * the same: the word, for two maps of words could only be kept alike while nobody writes either;
 * the maps of sockets, for a socket can be in one of them only; tags, for those of connections that
 * live cannot be moved; counts, for the kernel goes on counting meanwhile. What a version adds is
 * put beside them, in maps of its own or in the room of the map "room". So there is no moment at
 * which an old program and a new one could disagree, and programs may be replaced one by one:
 *
 *   selectors                at the next adoption through a member of the group, which is when hsd
 *                            has started (plane_listener_get(), listener_attach())
 *   accounting, guard-link   their links are updated
 *   in control groups        pinset_program()
 *
 * What is left for here is to say whose the pins are. Forward:
 *
 *   1. the folder of accounting gets the name of the new version: one rename(2)
 *   2. of each service: a new map "room", then hs_control.abi
 *
 * and the other way round to give them back, when hs_control.abi comes before the room goes. Each
 * step is one system call or one store, and repeated it does no harm. Who dies between two leaves
 * some of the pins in the one version and some in the other, all of them at work; the next one goes
 * on from there, in either direction.
 *
 * A manager of the version before must not be at work meanwhile: it opens pins anew, and would
 * refuse them. Whoever uses accounting has a lock on its folder, and that is asked for first.
 *
 * A version that cannot do so, for it wants another layout of what stays, has to have its programs
 * and maps beside those of the version before until the last connection of these has ended.
 */
#include "plane/bpf/handover.h"

#include <bpf/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hs_abi.h"
#include "plane/bpf/load.h"
#include "plane/bpf/maps.h"
#include "plane/bpf/pins.h"
#include "plane/bpf/pinset.h"
#include "util/macro.h"

#define NOW    HS_PIN_ROOT "/" HS_PIN_ACCOUNTING
#define BEFORE HS_PIN_ROOT "/" HS_PIN_ACCOUNTING_BEFORE

bool handover_is_readable(uint32_t abi)
{
	return abi == HS_ABI_VERSION || abi == HS_ABI_BEFORE;
}

uint32_t handover_service_id(const char *pin)
{
	_cleanup_(close_fdp) int fd = -1;
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info), zero = 0;
	_cleanup_(freep) struct hs_control *control = NULL;

	if (pin_open(pin_path(HS_PIN_ROOT "/%s/control", pin).text, &fd) < 0 ||
	    bpf_obj_get_info_by_fd(fd, &info, &size) || info.value_size < sizeof(*control))
		return 0;
	control = calloc(1, info.value_size);
	if (!control || bpf_map_lookup_elem(fd, &zero, control))
		return 0;
	return handover_is_readable(control->abi) ? control->service_id : 0;
}

bool handover_is_due(void)
{
	return !access(BEFORE, F_OK);
}

/* ---- services ---- */

static int map_control(const char *folder, struct hs_control **ret_control)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = pin_open(pin_path("%s/control", folder).text, &fd);

	if (r)
		return r;
	*ret_control = load_memory(fd, sizeof(**ret_control));
	return *ret_control ? 0 : -errno;
}

uint32_t handover_version(const char *folder)
{
	struct hs_control *control;
	uint32_t abi;

	if (map_control(folder, &control))
		return 0;
	abi = __atomic_load_n(&control->abi, __ATOMIC_ACQUIRE);
	munmap(control, sizeof(*control));
	return abi;
}

static int is_of_before(const char *name, void *userdata)
{
	(void)userdata;
	return name[0] != '%' &&
	       handover_version(pin_path(HS_PIN_ROOT "/%s", name).text) == HS_ABI_BEFORE;
}

static int set_version(const char *folder, uint32_t abi)
{
	struct hs_control *control;
	int r = map_control(folder, &control);

	if (r)
		return r;
	__atomic_store_n(&control->abi, abi, __ATOMIC_RELEASE);
	munmap(control, sizeof(*control));
	return 0;
}

/* ---- forward ---- */

/* Until the descriptor is closed. */
static int lock_unused(const char *folder, bool wait, int *ret_lock, struct problem *problem)
{
	int r = pins_lock(folder, wait, ret_lock);

	if (r == -EBUSY)
		return problem_set(problem, -ETXTBSY,
				   "another process works with %s, see fuser -v %s; if it is an "
				   "hsd of another release: systemctl restart hsd",
				   folder, folder);
	if (r && r != -ENOENT)
		return problem_set(problem, r, "cannot lock %s: %s", folder, strerror(-r));
	return r;
}

int handover_take_accounting(struct problem *problem)
{
	_cleanup_(close_fdp) int lock = -1;
	int r;

	if (!handover_is_due())
		return 0;
	r = lock_unused(BEFORE, false, &lock, problem);
	if (r)
		return r == -ENOENT ? 0 : r;
	if (access(NOW, F_OK))
		return rename(BEFORE, NOW) < 0
			       ? problem_set(problem, -errno, "cannot rename %s to %s: %m", BEFORE,
					     NOW)
			       : 0;
	/* an older manager was started by mistake. What it has counted and tagged since goes with
	 * its own services alone; it has gone again, and if it has none it goes as well */
	if (!pins_each_folder(HS_PIN_ROOT, is_of_before, NULL))
		pins_remove(BEFORE);
	return 0;
}

int handover_take_service(const char *folder, struct problem *problem)
{
	int r;

	if (handover_version(folder) != HS_ABI_BEFORE)
		return 0;
	r = handover_take_accounting(problem);
	if (r)
		return r;
	if (handover_is_due())
		return problem_set(problem, -EPROTO,
				   "%s was made by an older hotstandby after a newer one had made "
				   "%s, so connections of its slots are counted there; traffic "
				   "goes on, but to manage it stop its instances and remove %s",
				   folder, NOW, folder);
	r = maps_make_room(folder);
	if (!r)
		r = set_version(folder, HS_ABI_VERSION);
	return r ? problem_set(problem, r, "cannot take over the pins below %s: %s", folder,
			       strerror(-r))
		 : 0;
}

/* ---- back ---- */

static int has_needs(const char *name, void *userdata)
{
	_cleanup_(close_fdp) int fd = -1;
	struct hs_room room = {0};
	struct pin_path *found = userdata;
	uint32_t zero = 0;

	if (name[0] == '%')
		return 0;
	*found = pin_path(HS_PIN_ROOT "/%s", name);
	return !pin_open(pin_path("%s/room", found->text).text, &fd) &&
	       !bpf_map_lookup_elem(fd, &zero, &room) && room.needs;
}

/* The bind programs' map has the version, too: another one makes them anew around it. */
static void give_back_ports(const char *folder)
{
	_cleanup_(close_fdp) int fd = -1;
	struct hs_ports *ports;

	if (pin_open(pin_path("%s/ports", folder).text, &fd))
		return;
	ports = load_memory(fd, sizeof(*ports));
	if (!ports)
		return;
	if (ports->abi == HS_ABI_VERSION)
		__atomic_store_n(&ports->abi, HS_ABI_BEFORE, __ATOMIC_RELEASE);
	munmap(ports, sizeof(*ports));
}

/* What the version before would leave there, for us to find much later: that slots were drained,
 * and a drain that is under way. An upgrade it goes on with. */
static int forget_news(const char *folder)
{
	struct hs_control *control;
	int r = map_control(folder, &control);

	if (r)
		return r;
	__atomic_fetch_and(&control->retired, (1U << HS_SLOTS_MAX) - 1, __ATOMIC_SEQ_CST);
	if (!(control->upgrade & HS_UPGRADE_NOTED))
		__atomic_store_n(&control->upgrade, 0, __ATOMIC_SEQ_CST);
	munmap(control, sizeof(*control));
	return 0;
}

static int give_back_service(const char *name, void *userdata)
{
	struct pin_path folder = pin_path(HS_PIN_ROOT "/%s", name), room;
	struct problem *problem = userdata;
	uint32_t abi;
	int r;

	if (name[0] == '%')
		return 0;
	abi = handover_version(folder.text);
	if (!handover_is_readable(abi))
		return 0;
	give_back_ports(folder.text);
	/* also where the version is that one already: hsctl may have drained a slot since */
	r = forget_news(folder.text);
	if (!r && abi == HS_ABI_VERSION)
		r = set_version(folder.text, HS_ABI_BEFORE);
	room = pin_path("%s/room", folder.text);
	if (!r && unlink(room.text) < 0 && errno != ENOENT)
		r = -errno;
	return r ? problem_set(problem, r, "cannot give back the pins below %s: %s", folder.text,
			       strerror(-r))
		 : 0;
}

/* An older manager attaches its own beside, and each listen would be told twice. */
static void detach_listening(void)
{
	struct pinset_attached listening = {pin_path("%s", NOW "/listening"), BPF_CGROUP_SOCK_OPS};

	pinset_detach(&listening);
}

static int check_needs(struct problem *problem)
{
	struct pin_path found = {""};
	int r = pins_each_folder(HS_PIN_ROOT, has_needs, &found);

	return r > 0 ? problem_set(problem, -EPROTO,
				   "%s makes use of what version %u knows nothing of; disable that "
				   "service first",
				   found.text, HS_ABI_BEFORE)
		     : 0;
}

/* All but the last step. */
static int give_back_services(struct problem *problem)
{
	int r = pins_each_folder(HS_PIN_ROOT, give_back_service, problem);

	if (!r)
		detach_listening();
	return r;
}

/* See handover_take_accounting(): not both, unless one serves nobody. */
static int check_one_accounting(struct problem *problem)
{
	if (access(NOW, F_OK) || access(BEFORE, F_OK) ||
	    !pins_each_folder(HS_PIN_ROOT, is_of_before, NULL))
		return 0;
	return problem_set(problem, -EPROTO,
			   "there are services with pins of version %u beside %s already; stop "
			   "their instances and remove their folders below %s first",
			   HS_ABI_BEFORE, NOW, HS_PIN_ROOT);
}

static int give_back_accounting(struct problem *problem)
{
	int r;

	/* done already */
	if (access(NOW, F_OK))
		return 0;
	/* what an older manager has made that was started by mistake */
	r = pins_remove(BEFORE);
	if (!r && rename(NOW, BEFORE) < 0 && errno != ENOENT)
		r = -errno;
	return r ? problem_set(problem, r, "cannot rename %s to %s: %s", NOW, BEFORE, strerror(-r))
		 : 0;
}

int handover_give_back(unsigned abi, bool wait, struct problem *problem)
{
	_cleanup_(close_fdp) int lock = -1, now = -1, before = -1;
	int r;

	if (abi != HS_ABI_BEFORE)
		return problem_set(problem, -EINVAL,
				   "what is pinned can be given back to version %u, the one before "
				   "%u, and to no other",
				   HS_ABI_BEFORE, HS_ABI_VERSION);
	if (access(HS_PIN_ROOT, F_OK))
		return 0;
	r = pins_enter(&lock, problem);
	if (r < 0)
		return r;
	r = lock_unused(NOW, wait, &now, problem);
	if (!r || r == -ENOENT)
		r = lock_unused(BEFORE, wait, &before, problem);
	if (r && r != -ENOENT)
		return r;
	r = check_needs(problem);
	if (!r)
		r = check_one_accounting(problem);
	if (!r)
		r = give_back_services(problem);
	return r ? r : give_back_accounting(problem);
}
