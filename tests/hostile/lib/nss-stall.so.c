// SPDX-License-Identifier: GPL-2.0-or-later
/* A user database on a machine that does not answer (nsswitch.conf: "passwd: files stall"). */
#include <nss.h>
#include <pwd.h>
#include <unistd.h>

enum nss_status _nss_stall_getpwnam_r(const char *name, struct passwd *result, char *buffer,
				      size_t size, int *ret_errno);
enum nss_status _nss_stall_getpwnam_r(const char *name, struct passwd *result, char *buffer,
				      size_t size, int *ret_errno)
{
	(void)name, (void)result, (void)buffer, (void)size, (void)ret_errno;
	for (;;)
		pause();
	return NSS_STATUS_UNAVAIL;
}
