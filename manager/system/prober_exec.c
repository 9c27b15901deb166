// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * exec: a plugin as Nagios has them. It runs below our own cgroup, with a program on it that sends
 * its connections to the slot (plane/exec.h), as nobody who may do anything: with no capability,
 * and in our sandbox, so it reads files and opens connections and not much else.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "plane/cgroup.h"
#include "plane/exec.h"
#include "plane/netns.h"
#include "plane/pins.h"
#include "system/prober_run.h"
#include "util/files.h"
#include "util/macro.h"

#define OUTPUT_MAX 4096

#define REMOVE_EVERY (100 * USEC_PER_MSEC)
#define REMOVE_TRIES 50

/* of plugins */
enum { EXIT_OK, EXIT_WARNING, EXIT_CRITICAL, EXIT_UNKNOWN, EXIT_CANNOT_RUN = 127 };

/* Where one plugin runs for one slot: what it leaves behind can be ended without another's
 * knowledge.
 */
struct plugin_group {
	struct plugin_group *next;
	struct plane *plane;
	unsigned slot;
	const void *spec; /* which of the service's probes; not looked at */
	uint64_t mark;	  /* of the listeners that the program knows */
	char cgroup[PATH_MAX], path[PATH_MAX];
	struct hs_preview_owner_id owner;
	int counts_fd;
	unsigned tries; /* to remove it */
};

struct exec_probe {
	struct probe_run *run;
	struct plugin_group *group;
	pid_t pid; /* 0: none, or its end was seen */
	sd_event_source *exit_source, *output_source;
	uint64_t missed_before;
	char output[OUTPUT_MAX];
	size_t output_size;
};

/* ---- the cgroup ---- */

static int write_file(const char *path, const char *text)
{
	_cleanup_(close_fdp) int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static void kill_all(const struct plugin_group *group)
{
	write_file(pin_path("%s/cgroup.kill", group->path).text, "1");
}

/* Until its processes, which were killed, have ended. At hsd's end it goes with hsd's own group. */
static int on_empty_soon(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct plugin_group *group = userdata;

	if (rmdir(group->path) < 0 && errno == EBUSY && group->tries++ < REMOVE_TRIES) {
		sd_event_source_set_time(source, usec + REMOVE_EVERY);
		return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	sd_event_source_disable_unref(source);
	free(group);
	return 0;
}

static void group_free(struct prober *prober, struct plugin_group *group)
{
	sd_event_source *source;

	kill_all(group);
	preview_end(group->plane, &group->owner);
	close_fd(group->counts_fd);
	if (rmdir(group->path) < 0 && errno == EBUSY &&
	    sd_event_add_time_relative(prober->event, &source, CLOCK_MONOTONIC, REMOVE_EVERY,
				       USEC_PER_MSEC, on_empty_soon, group) >= 0)
		return;
	free(group);
}

void plugin_groups_free(struct prober *prober, const struct plane *plane)
{
	struct plugin_group **link = &prober->groups, *group;

	while ((group = *link)) {
		if (plane && group->plane != plane) {
			link = &group->next;
			continue;
		}
		*link = group->next;
		group_free(prober, group);
	}
}

/* Changes when the ports of the service do. */
static uint64_t mark_of(const struct plane *plane, const struct netns *netns)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);
	uint64_t mark = netns->inode;

	for (size_t i = 0; i < n; i++)
		mark = (mark ^ (listeners[i]->address.port | listeners[i]->address.udp << 16)) *
		       UINT64_C(0x100000001b3);
	return mark;
}

static int make_cgroup(const struct probe_run *run, struct plugin_group *group)
{
	static unsigned made;
	char mount[PATH_MAX / 4], own[PATH_MAX / 2];
	const char *service = plane_service(run->target.plane);
	int r = cgroup_mount(mount, sizeof(mount));

	if (!r)
		r = cgroup_of_process(getpid(), group->cgroup);
	if (r < 0)
		return r;
	if (snprintf(own, sizeof(own), "%s/probe-%.120s-%u-%u", group->cgroup, service, group->slot,
		     ++made) >= (int)sizeof(own))
		return -ENAMETOOLONG;
	strcpy(group->cgroup, own);
	snprintf(group->path, sizeof(group->path), "%s%s", mount, own);
	return mkdir(group->path, 0755) < 0 ? -errno : 0;
}

static int make_group(struct probe_run *run, const struct netns *netns, struct plugin_group *group,
		      struct problem *problem)
{
	struct exec_order order = {
		.cgroup = group->cgroup, .slot = run->target.slot, .netns = netns};
	int r = make_cgroup(run, group);

	if (r < 0)
		return problem_set(problem, r, "no cgroup for it: %s; see Delegate= of hsd.service",
				   strerror(-r));
	r = exec_attach(group->plane, &order, &group->counts_fd, problem);
	if (!r)
		r = preview_of_cgroup(group->cgroup, &group->owner);
	if (r < 0)
		rmdir(group->path);
	return r;
}

/* That of the probe and the slot, made if it is new. */
static int get_group(struct probe_run *run, const struct netns *netns,
		     struct plugin_group **ret_group, struct problem *problem)
{
	uint64_t mark = mark_of(run->target.plane, netns);
	struct plugin_group **link = &run->prober->groups, *group;
	int r;

	for (; (group = *link); link = &group->next)
		if (group->plane == run->target.plane && group->slot == run->target.slot &&
		    group->spec == run->target.spec)
			break;
	if (group && group->mark == mark) {
		*ret_group = group;
		return 0;
	}
	if (group) {
		*link = group->next;
		group_free(run->prober, group);
	}
	group = calloc(1, sizeof(*group));
	if (!group)
		return problem_set(problem, -ENOMEM, "out of memory");
	*group = (struct plugin_group) {
		.plane = run->target.plane,
		.slot = run->target.slot,
		.spec = run->target.spec,
		.mark = mark,
	};
	r = make_group(run, netns, group, problem);
	if (r < 0) {
		free(group);
		return r;
	}
	group->next = run->prober->groups;
	*ret_group = run->prober->groups = group;
	return 0;
}

/* ---- the child ---- */

struct child {
	char **words, **environment;
	int output_fd, cgroup_fd, netns_fd;
};

static void drop_everything(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
	sigset_t signals;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	syscall(SYS_capset, &header, none);
	sigemptyset(&signals);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	signal(SIGPIPE, SIG_DFL);
}

static void become(const struct child *child) __attribute__((noreturn));
static void become(const struct child *child)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char *step = "put it into its cgroup";

	setsid();
	if (write(child->cgroup_fd, "0", 1) == 1) {
		step = "enter the network namespace";
		if (child->netns_fd < 0 || !setns(child->netns_fd, CLONE_NEWNET)) {
			step = "run it";
			drop_everything();
			if (dup2(null, 0) >= 0 && dup2(null, 2) >= 0 &&
			    dup2(child->output_fd, 1) >= 0 && !chdir("/"))
				execve(child->words[0], child->words, child->environment);
		}
	}
	dprintf(child->output_fd, "cannot %s: %m\n", step);
	_exit(EXIT_CANNOT_RUN);
}

/* ---- the end ---- */

static int on_reapable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)fd, (void)events;
	waitpid((pid_t)(intptr_t)userdata, NULL, WNOHANG);
	sd_event_source_disable_unref(source);
	return 0;
}

/* It was killed, and may take its time. */
static void reap_later(struct exec_probe *exec)
{
	int fd;

	if (waitpid(exec->pid, NULL, WNOHANG))
		return;
	fd = (int)syscall(SYS_pidfd_open, exec->pid, 0);
	if (fd < 0)
		return;
	if (sd_event_add_io(exec->run->prober->event, &exec->exit_source, fd, EPOLLIN, on_reapable,
			    (void *)(intptr_t)exec->pid) < 0) {
		close_fd(fd);
		return;
	}
	sd_event_source_set_io_fd_own(exec->exit_source, true);
	exec->exit_source = NULL; /* frees itself */
}

struct exec_probe *exec_probe_free(struct exec_probe *exec)
{
	if (!exec)
		return NULL;
	exec->exit_source = sd_event_source_disable_unref(exec->exit_source);
	sd_event_source_disable_unref(exec->output_source);
	if (exec->pid) {
		kill(-exec->pid, SIGKILL);
		kill(exec->pid, SIGKILL);
		kill_all(exec->group);
		reap_later(exec);
	}
	free(exec);
	return NULL;
}

static uint64_t missed(const struct plugin_group *group)
{
	struct hs_exec_counts counts = {0};

	exec_counts(group->counts_fd, &counts);
	return counts.missed;
}

static void judge(struct exec_probe *exec, int status)
{
	struct probe_run *run = exec->run;
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	struct problem line;

	/* behind the bar are figures for graphs */
	exec->output[strcspn(exec->output, "|")] = '\0';
	probe_first_line(exec->output, exec->output_size, &line);
	if (missed(exec->group) != exec->missed_before)
		probe_end(run, PROBE_BAD, "the plugin's connections did not reach slot %u",
			  run->target.slot);
	else if (code == EXIT_OK || code == EXIT_WARNING)
		probe_end(run, PROBE_GOOD, "%s", code == EXIT_WARNING ? line.text : "");
	else if (line.text[0])
		probe_end(run, PROBE_BAD, "%s", line.text);
	else if (code < 0)
		probe_end(run, PROBE_BAD, "the plugin was killed by signal %d", WTERMSIG(status));
	else
		probe_end(run, PROBE_BAD, "the plugin said nothing and its exit status was %d",
			  code);
}

/* More than fits is read and forgotten, so that the plugin does not get stuck. */
static bool read_some(struct exec_probe *exec, int fd)
{
	char rest[OUTPUT_MAX];
	size_t room = sizeof(exec->output) - 1 - exec->output_size;
	ssize_t n = read(fd, room ? exec->output + exec->output_size : rest,
			 room ? room : sizeof(rest));

	if (n > 0 && room)
		exec->output_size += (size_t)n;
	return n > 0;
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct exec_probe *exec = userdata;

	(void)events;
	if (!read_some(exec, fd))
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
	return 0;
}

static int on_exit_seen(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct exec_probe *exec = userdata;
	int status = 0;

	(void)fd, (void)events;
	if (waitpid(exec->pid, &status, WNOHANG) != exec->pid)
		return 0;
	exec->pid = 0;
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	for (unsigned i = 0; i < 16; i++)
		if (!read_some(exec, sd_event_source_get_io_fd(exec->output_source)))
			break;
	/* what it has left in the background */
	kill_all(exec->group);
	judge(exec, status);
	return 0;
}

/* ---- the beginning ---- */

static int watch_child(struct exec_probe *exec, int output_fd)
{
	sd_event *event = exec->run->prober->event;
	int fd = (int)syscall(SYS_pidfd_open, exec->pid, 0), r;

	if (fd < 0)
		return -errno;
	r = sd_event_add_io(event, &exec->exit_source, fd, EPOLLIN, on_exit_seen, exec);
	if (r < 0) {
		close_fd(fd);
		return r;
	}
	sd_event_source_set_io_fd_own(exec->exit_source, true);
	r = sd_event_add_io(event, &exec->output_source, output_fd, EPOLLIN, on_output, exec);
	if (r < 0)
		return r;
	sd_event_source_set_io_fd_own(exec->output_source, true);
	/* what it says is read before its end */
	return sd_event_source_set_priority(exec->exit_source, SD_EVENT_PRIORITY_NORMAL + 1);
}

static int spawn(struct exec_probe *exec, struct child *child)
{
	_cleanup_(close_fdp) int read_end = -1, write_end = -1, cgroup_fd = -1;
	int pipe_fds[2], r;

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	read_end = pipe_fds[0];
	write_end = pipe_fds[1];
	/* the plugin's end is an ordinary one */
	fcntl(write_end, F_SETFL, 0);
	cgroup_fd = open(pin_path("%s/cgroup.procs", exec->group->path).text, O_WRONLY | O_CLOEXEC);
	if (cgroup_fd < 0)
		return -errno;
	child->output_fd = write_end;
	child->cgroup_fd = cgroup_fd;
	exec->pid = fork();
	if (exec->pid == 0)
		become(child);
	if (exec->pid < 0) {
		exec->pid = 0;
		return -errno;
	}
	r = watch_child(exec, read_end);
	if (r >= 0)
		steal_fd(&read_end);
	return r;
}

static int run_plugin(struct exec_probe *exec, const struct netns *netns)
{
	const struct probe_target *target = &exec->run->target;
	char storage[PROBE_TEXT_MAX], *words[PROBE_WORDS_MAX];
	_cleanup_(freep) char *service =
		format("HOTSTANDBY_SERVICE=%s", plane_service(target->plane));
	_cleanup_(freep) char *slot = format("HOTSTANDBY_SLOT=%u", target->slot);
	char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			       "LANG=C.UTF-8", service, slot, NULL};
	struct child child = {.words = words, .environment = environment, .netns_fd = netns->fd};
	int r = service && slot ? probe_split(target->spec->text, storage, words) : -ENOMEM;

	/* as long as nobody is in the group a sweep takes its mark away */
	if (!r)
		r = preview_begin(target->plane, &exec->group->owner);
	if (r < 0)
		return r;
	exec->missed_before = missed(exec->group);
	return spawn(exec, &child);
}

void exec_probe_start(struct probe_run *run)
{
	const struct listener *listener = probe_find_listener(run, true);
	struct exec_probe *exec = calloc(1, sizeof(*exec));
	struct problem problem = {0};
	int r = -ENOMEM;

	run->exec = exec;
	if (!listener)
		return;
	if (exec) {
		exec->run = run;
		r = get_group(run, &listener->netns, &exec->group, &problem);
	}
	if (!r)
		r = run_plugin(exec, &listener->netns);
	if (r < 0)
		probe_end(run, PROBE_VOID, "the plugin cannot be run: %s",
			  problem.text[0] ? problem.text : strerror(-r));
}
