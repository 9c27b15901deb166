// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/drill/guard.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "core/name.h"
#include "system/unit/units.h"
#include "util/files.h"
#include "util/macro.h"

#define FOLDER	      "/run/hotstandby/drill"
#define NOTE_MAX      4096
#define GUARD_TIMEOUT (10 * USEC_PER_SEC)

struct path {
	char text[sizeof(FOLDER) + SERVICE_NAME_MAX + 8];
};

static struct path path_of(const char *service, const char *file)
{
	struct path path;

	snprintf(path.text, sizeof(path.text), FOLDER "/%s%s", service, file);
	return path;
}

int drillguard_lock(const char *service, bool wait, int *ret_fd, struct problem *problem)
{
	struct path folder = path_of(service, ""), path = path_of(service, "/lock");
	_cleanup_(close_fdp) int fd = -1;
	int r = make_folders(folder.text, 0755);

	if (r == -EACCES || r == -EPERM)
		return problem_set(problem, r, "only root may do this; run it with sudo");
	if (r < 0)
		return problem_set(problem, r, "cannot make %s: %s", folder.text, strerror(-r));
	fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == EACCES)
		return problem_set(problem, -EACCES, "only root may do this; run it with sudo");
	if (fd < 0)
		return problem_set(problem, -errno, "cannot open %s: %m", path.text);
	do
		r = flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EWOULDBLOCK)
		return problem_set(problem, -EBUSY,
				   "another drill of %s runs, or is being put back; wait for it",
				   service);
	if (r < 0)
		return problem_set(problem, -errno, "cannot lock %s: %m", path.text);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int drillguard_note(const char *service, const struct drill_before *before, struct problem *problem)
{
	struct path path = path_of(service, "/before");
	_cleanup_(freep) char *text =
		format("active %u\nready %#x\n", before->active, before->ready);
	int r = text ? file_write(path.text, text, 0644) : -ENOMEM;

	return r < 0 ? problem_set(problem, r, "cannot write %s: %s", path.text, strerror(-r)) : 0;
}

int drillguard_read(const char *service, struct drill_before *ret_before)
{
	struct path path = path_of(service, "/before");
	_cleanup_(freep) char *text = NULL;
	struct drill_before before;
	int r = file_read(path.text, NOTE_MAX, &text);

	if (r < 0)
		return r;
	if (sscanf(text, "active %u ready %x", &before.active, &before.ready) != 2)
		return -EBADMSG;
	*ret_before = before;
	return 0;
}

void drillguard_forget(const char *service)
{
	unlink(path_of(service, "/before").text);
}

static char *unit_name(const char *service)
{
	return format("hotstandby-put-back-%s.service", service);
}

int drillguard_start(sd_bus *systemd, const char *service, struct problem *problem)
{
	_cleanup_(freep) char *name = unit_name(service);
	_cleanup_(freep) char *text =
		format("Puts %s back to what it was, if its drill dies", service);
	const char *argv[] = {HS_PREFIX "/bin/hsctl", "drill", "--put-back", "--", service, NULL};
	struct unit_transient order = {
		.name = name,
		.description = text,
		.argv = argv,
		.timeout_usec = GUARD_TIMEOUT,
		.stays = true,
	};

	if (!name || !text)
		return problem_set(problem, -ENOMEM, "out of memory");
	return units_run_transient(systemd, &order, problem);
}

void drillguard_stop(sd_bus *systemd, const char *service)
{
	_cleanup_(freep) char *name = unit_name(service);

	if (name)
		(void)units_run_job(systemd, UNIT_STOP, name, GUARD_TIMEOUT, NULL);
}

void drillguard_forgive(sd_bus *systemd, const char *service)
{
	_cleanup_(freep) char *name = unit_name(service);

	if (name)
		units_reset_failed(systemd, name);
}
