// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MPTCP=no: servers in the cgroup of a slot get no socket of MPTCP, those elsewhere do. MPTCP=keep:
 * no second slot comes to an address beside one that listens by MPTCP.
 */
#include "cases.h"

#include <errno.h>

#include "plane/act/force.h"
#include "plane/act/prepare.h"
#include "plane/bpf/mptcp.h"
#include "plane/bpf/pins.h"
#include "plane/kernel/cgroup.h"

#define PORT 8080

static void refuse(const struct server *server)
{
	struct problem problem = {0};

	case_needs(ABILITY_LOADS_MPTCP);
	if (mptcp_refuse(server->cgroup, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "not refused: %s", problem.text);
}

static uint32_t asked(const struct server *server)
{
	uint64_t id;

	rig_check(cgroup_id(server->cgroup, &id) == 0);
	return mptcp_asked(id);
}

/* Without MPTCP in the kernel there is nothing to refuse. */
static void need_mptcp(struct rig *rig)
{
	struct server *probe = server_start(rig, 7);
	struct address at = rig_local(PORT + 1);
	int r = server_listen(probe, &at, SERVER_MPTCP);

	server_kill(probe);
	if (r < 0) {
		print_message("# needs a kernel with MPTCP: %s\n", strerror(-r));
		skip();
	}
}

static void it_is_refused_as_on_a_kernel_without(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), at6 = rig_only6(PORT);
	struct server *a = server_start(rig, 0);

	need_mptcp(rig);
	refuse(a);
	assert_int_equal(server_listen(a, &at, SERVER_MPTCP), -EPROTONOSUPPORT);
	assert_int_equal(server_listen(a, &at6, SERVER_MPTCP), -EPROTONOSUPPORT);
	assert_int_equal(asked(a), 2);
	/* what it does then */
	assert_int_equal(server_listen(a, &at, 0), 0);
	assert_int_equal(rig_adopt(rig, a), 1);
}

static void others_keep_it(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0), *b = server_start(rig, 1);

	need_mptcp(rig);
	refuse(a);
	assert_int_equal(server_listen(b, &at, SERVER_MPTCP), 0);
	assert_int_equal(asked(b), 0);
}

static void it_can_be_allowed_again(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);

	need_mptcp(rig);
	refuse(a);
	refuse(a);
	assert_int_equal(server_listen(a, &at, SERVER_MPTCP), -EPROTONOSUPPORT);
	assert_int_equal(mptcp_allow(a->cgroup), 0);
	assert_int_equal(mptcp_allow(a->cgroup), 0);
	assert_int_equal(server_listen(a, &at, SERVER_MPTCP), 0);
}

/* An earlier release's, or one that died while it made them. */
static void half_made_pins_are_made_anew(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);

	need_mptcp(rig);
	refuse(a);
	rig_check(unlink(HS_PIN_ROOT "/" HS_PIN_ACCOUNTING "/mptcp-build") == 0);
	refuse(a);
	assert_int_equal(server_listen(a, &at, SERVER_MPTCP), -EPROTONOSUPPORT);
	assert_int_equal(asked(a), 1);
}

static void prepare(struct rig *rig, const struct server *server, enum config_mptcp mptcp)
{
	struct config config;
	struct prepare_scope scope = {server->cgroup, server->slot, true, &config, false};
	struct problem sentence = {0};

	config_init(&config);
	config.mptcp = mptcp;
	if (prepare_slot(rig->plane, &scope, &sentence) < 0)
		rig_fail(__FILE__, __LINE__, "not prepared: %s", sentence.text);
}

static void a_prepared_slot_has_none(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);

	need_mptcp(rig);
	prepare(rig, a, MPTCP_NO);
	assert_int_equal(server_listen(a, &at, SERVER_MPTCP), -EPROTONOSUPPORT);
	prepare(rig, a, MPTCP_KEEP);
	assert_int_equal(server_listen(a, &at, SERVER_MPTCP), 0);
}

/* Without this the kernel would share the connections among them as it likes. */
static void where_it_is_kept_the_second_cannot_bind(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), plain = rig_any(PORT + 2);
	struct server *a = server_start(rig, 0), *b = server_start(rig, 1);

	need_mptcp(rig);
	prepare(rig, a, MPTCP_KEEP);
	prepare(rig, b, MPTCP_KEEP);
	assert_int_equal(server_listen(a, &at, SERVER_MPTCP | SERVER_NO_REUSEPORT), 0);
	assert_int_equal(server_listen(b, &at, SERVER_MPTCP | SERVER_NO_REUSEPORT), -EADDRINUSE);
	/* sockets of TCP are forced as ever */
	assert_int_equal(server_listen(a, &plain, SERVER_NO_REUSEPORT), 1);
	assert_int_equal(server_listen(b, &plain, SERVER_NO_REUSEPORT), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(it_is_refused_as_on_a_kernel_without),
		CASE(others_keep_it),
		CASE(it_can_be_allowed_again),
		CASE(half_made_pins_are_made_anew),
		CASE(a_prepared_slot_has_none),
		CASE(where_it_is_kept_the_second_cannot_bind),
	};

	return cases_run("mptcp", tests);
}
