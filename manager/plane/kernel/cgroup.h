/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cgroup tree: which processes a unit has. Reads files of cgroup2 only. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Mount point of the cgroup2 file system, from /proc/self/mountinfo (on a hybrid layout it is not
 * /sys/fs/cgroup). -ENOENT when there is none. */
int cgroup_mount(char *path, size_t size);

/* Calls `each` for every process in the cgroup and below it, until it returns non-zero, which is
 * returned. `cgroup` as systemd names it: "/system.slice/app-0.service". -ENOENT when the cgroup is
 * gone, -E2BIG when thousands are below it. */
int cgroup_each_process(const char *cgroup, int (*each)(pid_t pid, void *userdata), void *userdata);

/* Whether the process is in the cgroup or below it, now. */
bool cgroup_has_process(const char *cgroup, pid_t pid);

/* Whether the cgroup with this id is `cgroup` or lies below it. */
bool cgroup_contains(const char *cgroup, uint64_t id);

/* The id of a cgroup, which no other gets later. -ENOENT. */
int cgroup_id(const char *cgroup, uint64_t *ret_id);
/* The ids of a cgroup and of those below it. -E2BIG: there is no room for more; `ret_n` are there.
 */
int cgroup_ids(const char *cgroup, uint64_t *ids, size_t room, size_t *ret_n);
/* Where the cgroup with this id is, from the mount on. -ENOENT when it is no more, or is below one
 * that we may not look into. */
int cgroup_find(uint64_t id, char cgroup[PATH_MAX]);
/* Whether a process is in it, or below it; zombies do not count. */
bool cgroup_is_populated(const char *cgroup);
/* Where a process is, from the mount on. -ESRCH. */
int cgroup_of_process(pid_t pid, char cgroup[PATH_MAX]);

/* Opens the folder of a cgroup. -ENOENT. */
int cgroup_open(const char *cgroup, int *ret_fd);
/* Whether the very program is attached to this cgroup (enum bpf_attach_type): 1 or 0, or -errno;
 * what those above it have does not count. */
int cgroup_has_program(int cgroup_fd, int type, int program_fd);

/*
 * Calls `each` for each program of these types (enum bpf_attach_type) that is attached to a cgroup,
 * with the cgroup's descriptor and the program's id, until it returns non-zero, which is returned.
 * In all cgroups, the root among them, but for those that we may not open: who has had one
 * delegated may close it, also to a root without CAP_DAC_OVERRIDE, and must not stop us. -errno
 * when there are no cgroups.
 */
typedef int (*cgroup_program_fn)(int cgroup_fd, int type, uint32_t program_id, void *userdata);
int cgroup_each_program(const int *types, size_t n_types, cgroup_program_fn each, void *userdata);
/* Where this program is attached to the cgroup by itself, not by a link, `to_fd` takes its place in
 * one step; with `to_fd` -1 it is detached. -ENOENT where it is not. */
int cgroup_replace_program(int cgroup_fd, int type, int program_fd, int to_fd);
