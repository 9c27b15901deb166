// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preview rules: a connection whose ends are known beforehand goes to a chosen slot, and no other
 * connection does. Owners, and what is left when they die.
 */
#include "cases.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "plane/kernel/cgroup.h"
#include "plane/preview/preview.h"
#include "plane/preview/reach.h"

#define PORT 8080

/* What a probe does, step by step. */
struct probe {
	struct rig *rig;
	struct hs_preview_owner_id owner;
	struct hs_preview_key key;
	int fd;
};

static struct probe probe_begin(struct rig *rig)
{
	struct probe probe = {.rig = rig, .fd = -1};

	assert_int_equal(owner_of_process(0, &probe.owner), 0);
	assert_int_equal(preview_begin(rig->plane, &probe.owner), 0);
	return probe;
}

static void probe_connect(struct probe *probe, const struct address *to, unsigned slot)
{
	struct preview_wish wish = {.owner = &probe->owner, .slot = slot};
	struct sockaddr_storage dest;
	socklen_t size = address_to_sockaddr(to, &dest);

	probe->fd = socket(dest.ss_family, (to->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	assert_int_equal(preview_direct(probe->rig->plane, &wish, probe->fd,
					(struct sockaddr *)&dest, &probe->key),
			 0);
	assert_int_equal(connect(probe->fd, (struct sockaddr *)&dest, size), 0);
}

/* The answer, and what the rule says of it; the rule is gone after it. */
static char probe_finish(struct probe *probe, struct preview_landing *ret_landing)
{
	char answer = client_ask(probe->fd);

	client_reset(probe->fd);
	probe->fd = -1;
	assert_int_equal(preview_landed(probe->rig->plane, &probe->key, ret_landing), 0);
	preview_remove(probe->rig->plane, &probe->key);
	return answer;
}

static char probe(struct probe *self, const struct address *to, unsigned slot)
{
	struct preview_landing landing;
	char answer;

	probe_connect(self, to, slot);
	answer = probe_finish(self, &landing);
	assert_int_equal(landing.hits, 1);
	assert_int_equal(landing.misses, 0);
	return answer;
}

static void probe_end(struct probe *probe)
{
	struct hs_preview_key any;

	assert_int_equal(preview_end(probe->rig->plane, &probe->owner), 0);
	assert_int_equal(preview_count(probe->rig->plane), 0);
	assert_int_equal(plane_has_preview(probe->rig->plane), 0);
	assert_int_not_equal(bpf_map_get_next_key(plane_preview_fd(probe->rig->plane), NULL, &any),
			     0);
}

static void assert_reaches_each(struct rig *rig, const struct address *to)
{
	struct probe self = probe_begin(rig);

	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(probe(&self, to, 1), 'B');
		assert_int_equal(ask(to), 'A');
		assert_int_equal(probe(&self, to, 0), 'A');
	}
	assert_int_equal(rig_totals(rig).previewed, 100);
	assert_int_equal(rig_totals(rig).preview_misses, 0);
	assert_int_equal(rig_slot(rig, 1).chosen, 50);
	assert_int_equal(rig_slot(rig, 1).fell_through, 0);
	probe_end(&self);
}

static void a_probe_reaches_its_slot(void **state)
{
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(*state, &at);

	serve_pair(&pair);
	assert_reaches_each(*state, &at);
}

/* Only who says so reaches a slot that was taken out of service. */
static void a_slot_that_was_set_aside(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct listener *listener = plane_find(rig->plane, &at);
	struct probe self = probe_begin(rig);
	struct preview_wish wish = {.owner = &self.owner, .slot = 1, .aside = true};
	struct preview_landing landing;
	struct reach reach;

	serve_pair(&pair);
	listener_set_aside(listener, 1);
	for (unsigned i = 0; i < 10; i++) {
		probe_connect(&self, &at, 1);
		assert_int_equal(probe_finish(&self, &landing), 'A');
		assert_int_equal(landing.misses, 1);
		assert_int_equal(reach_open(rig->plane, listener, &wish, &reach), 0);
		self.fd = reach.fd;
		self.key = reach.key;
		(void)connect(self.fd, (struct sockaddr *)&reach.dest, reach_size(&reach.dest));
		assert_int_equal(fcntl(self.fd, F_SETFL, 0), 0);
		assert_int_equal(probe_finish(&self, &landing), 'B');
		assert_int_equal(landing.hits, 1);
	}
	probe_end(&self);
}

static void over_ipv6(void **state)
{
	struct address at = rig_only6(PORT);
	struct pair pair = start_pair(*state, &at);

	serve_pair(&pair);
	assert_reaches_each(*state, &at);
}

/* IPv4 on a listener of both families. */
static void over_ipv4_on_a_dual_listener(void **state)
{
	struct address dual = rig_dual(PORT), at = rig_local(PORT);
	struct pair pair = start_pair(*state, &dual);

	serve_pair(&pair);
	assert_reaches_each(*state, &at);
}

/* A rule goes before what the flow table remembers, and is not remembered itself. */
static void datagrams_leave_no_flow(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair;

	at.udp = true;
	pair = start_pair(rig, &at);
	serve_pair(&pair);
	assert_reaches_each(rig, &at);
	for (unsigned i = 0; i < 20; i++) {
		struct probe self = probe_begin(rig);
		struct preview_landing landing;
		struct sockaddr_in source;
		socklen_t size = sizeof(source);

		probe_connect(&self, &at, 1);
		assert_int_equal(getsockname(self.fd, (struct sockaddr *)&source, &size), 0);
		assert_int_equal(probe_finish(&self, &landing), 'B');
		assert_int_equal(ask_from(&at, ntohs(source.sin_port)), 'A');
		probe_end(&self);
	}
}

static void with_syn_cookies(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct preview_landing landing;
	struct probe self;
	struct pair pair;

	rig_sysctl("net/ipv4/tcp_syncookies", "2");
	pair = start_pair(rig, &at);
	serve_pair(&pair);
	self = probe_begin(rig);
	probe_connect(&self, &at, 1);
	assert_int_equal(probe_finish(&self, &landing), 'B');
	assert_int_equal(landing.hits, 2);
	probe_end(&self);
}

/* Whatever the word says: all park, another policy, a canary, an active slot that is not there. */
static void whatever_the_word_says(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct probe self = probe_begin(rig);
	static const struct {
		word_edit *edit;
		struct word_args args;
	} edits[] = {
		{word_park, {.on = true}},
		{word_set_policy, {.policy = HS_POLICY_PARITY}},
		{word_set_policy, {.policy = HS_POLICY_HASH}},
		{word_park, {.on = false}},
		{word_set_policy, {.policy = HS_POLICY_STANDBY}},
		{word_set_canary, {.to = 1, .share = WORD_SHARE_MAX}},
		{word_activate, {.to = 2}},
	};

	serve_pair(&pair);
	for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
		assert_true(plane_edit_word(rig->plane, edits[i].edit, &edits[i].args, NULL));
		for (unsigned n = 0; n < 20; n++) {
			assert_int_equal(probe(&self, &at, 1), 'B');
			assert_int_equal(probe(&self, &at, 0), 'A');
		}
	}
	probe_end(&self);
}

/* One that does not serve the other listener yet cannot be switched to, but can be looked at. */
static void a_slot_that_is_not_complete(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), more = rig_any(PORT + 1);
	struct pair pair = start_pair(rig, &at);
	struct preview_landing landing;
	struct probe self;

	server_listen(pair.a, &more, 0);
	assert_int_equal(rig_adopt(rig, pair.a), 1);
	serve_pair(&pair);
	self = probe_begin(rig);
	assert_int_equal(probe(&self, &at, 1), 'B');
	probe_connect(&self, &more, 1);
	assert_int_equal(probe_finish(&self, &landing), 'A');
	assert_int_equal(landing.hits, 0);
	assert_int_equal(landing.misses, 1);
	assert_int_equal(rig_totals(rig).preview_misses, 1);
	probe_end(&self);
}

static void a_slot_that_is_down_is_told_by_the_miss(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct preview_landing landing;
	struct probe self = probe_begin(rig);

	serve_pair(&pair);
	server_kill(pair.b);
	probe_connect(&self, &at, 1);
	assert_int_equal(probe_finish(&self, &landing), 'A');
	assert_int_equal(landing.hits, 0);
	assert_int_equal(landing.misses, 1);
	/* a slot that never was */
	probe_connect(&self, &at, 7);
	assert_int_equal(probe_finish(&self, &landing), 'A');
	assert_int_equal(landing.misses, 1);
	probe_end(&self);
}

/* The same source port at the same time, to another destination, from another process. */
static void the_same_port_to_another_listener_is_another_connection(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_local(PORT), other = rig_local(PORT + 1);
	struct pair pair = start_pair(rig, &at);
	struct probe self = probe_begin(rig);
	struct preview_landing landing;

	server_listen(pair.a, &other, 0);
	server_listen(pair.b, &other, 0);
	assert_int_equal(rig_adopt(rig, pair.a) + rig_adopt(rig, pair.b), 2);
	serve_pair(&pair);
	for (unsigned i = 0; i < 20; i++) {
		struct sockaddr_in source;
		socklen_t size = sizeof(source);

		probe_connect(&self, &at, 1);
		assert_int_equal(getsockname(self.fd, (struct sockaddr *)&source, &size), 0);
		client_reset(self.fd);
		assert_int_equal(ask_from(&other, ntohs(source.sin_port)), 'A');
		/* and the very ends of the rule are those of the rule, whoever has them */
		assert_int_equal(ask_from(&at, ntohs(source.sin_port)), 'B');
		preview_landed(rig->plane, &self.key, &landing);
		assert_int_equal(landing.hits, 2);
		preview_remove(rig->plane, &self.key);
		assert_int_equal(ask_from(&at, ntohs(source.sin_port)), 'A');
	}
	probe_end(&self);
}

/* What waits moves to its rule's slot, and then where all go. */
static void a_waiting_connection_keeps_its_rule(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct server *c = start_adopted(rig, 2, &at);
	struct probe self = probe_begin(rig);
	struct preview_landing landing;
	struct hs_preview_rule rule;

	probe_connect(&self, &at, 1);
	rig_until(rig_queued(rig, 1) == 1);
	assert_int_equal(bpf_map_lookup_elem(plane_preview_fd(rig->plane), &self.key, &rule), 0);
	assert_int_equal(rule.slot, 1);
	preview_add(rig->plane, &self.key, 2, &self.owner);
	server_kill(pair.b);
	rig_until(rig_queued(rig, 2) == 1);
	server_kill(c);
	rig_until(rig_queued(rig, 0) == 1);
	server_serve(pair.a, true);
	assert_int_equal(probe_finish(&self, &landing), 'A');
	assert_int_equal(landing.hits, 1);
	assert_int_equal(landing.misses, 1);
	probe_end(&self);
}

static void nobody_else_is_touched(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct probe self = probe_begin(rig);
	pid_t other;
	int status;

	serve_pair(&pair);
	other = fork();
	if (!other)
		_exit(ask_often(&at, 3000).of['A'] == 3000 ? 0 : 1);
	for (unsigned i = 0; i < 3000; i++)
		assert_int_equal(probe(&self, &at, 1), 'B');
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(status, 0);
	probe_end(&self);
}

static void keys_are_complete(void **state)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(7)};
	struct sockaddr_in any = v4;
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
	struct sockaddr local = {.sa_family = AF_UNIX};
	struct preview_ends ends = {.source = (struct sockaddr *)&v4,
				    .dest = (struct sockaddr *)&v4,
				    .netns = 4711,
				    .protocol = IPPROTO_TCP};
	struct hs_preview_key key = {0}, mapped;

	(void)state;
	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(preview_key(&ends, &key), 0);
	assert_int_equal(key.netns, 4711);
	/* IPv4 inside IPv6 is IPv4 */
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &v6.sin6_addr);
	ends.source = ends.dest = (struct sockaddr *)&v6;
	assert_int_equal(preview_key(&ends, &mapped), 0);
	assert_memory_equal(&key, &mapped, sizeof(key));
	inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr);
	assert_int_equal(preview_key(&ends, &key), 0);
	assert_int_equal(key.netns, 0);
	ends.dest = (struct sockaddr *)&any;
	assert_int_equal(preview_key(&ends, &key), -EINVAL);
	ends.dest = &local;
	assert_int_equal(preview_key(&ends, &key), -EAFNOSUPPORT);
}

/* A child with a rule that dies as it is. */
static void orphan_rule(struct rig *rig, const struct hs_preview_key *key)
{
	struct hs_preview_owner_id owner;
	int status;
	pid_t child = fork();

	if (!child) {
		_exit(owner_of_process(0, &owner) || preview_begin(rig->plane, &owner) ||
		      preview_add(rig->plane, key, 1, &owner));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void what_a_dead_owner_leaves_is_swept(void **state)
{
	struct rig *rig = *state;
	struct hs_preview_key key = {.protocol = IPPROTO_TCP, .source_port = 1};
	struct probe self;

	orphan_rule(rig, &key);
	assert_int_equal(preview_count(rig->plane), 1);
	assert_int_equal(plane_has_preview(rig->plane), 1);
	self = probe_begin(rig);
	assert_int_equal(preview_sweep(rig->plane), 1);
	assert_int_equal(preview_count(rig->plane), 0);
	assert_int_equal(plane_has_preview(rig->plane), 1); /* we live */
	assert_int_equal(preview_sweep(rig->plane), 0);
	probe_end(&self);
	/* a mark without anybody: whoever set it died before the entry was made, or after it went
	 */
	plane_set_preview(rig->plane, true);
	assert_int_equal(preview_sweep(rig->plane), 0);
	assert_int_equal(plane_has_preview(rig->plane), 0);
}

/* A process that does nothing, in this cgroup. */
static pid_t sleeper_in(const char *folder)
{
	pid_t child = fork();
	FILE *procs;

	if (!child)
		for (;;)
			pause();
	procs = fopen(pin_path("%s/cgroup.procs", folder).text, "we");
	assert_non_null(procs);
	fprintf(procs, "%d\n", child);
	assert_int_equal(fclose(procs), 0);
	return child;
}

static void a_cgroup_owns_as_long_as_it_lives(void **state)
{
	struct rig *rig = *state;
	struct hs_preview_key key = {.protocol = IPPROTO_TCP, .source_port = 1};
	struct hs_preview_owner_id owner;
	struct pin_path name = pin_path("%s/command", rig->group), folder;
	char mount[PATH_MAX], found[PATH_MAX];
	pid_t child;

	assert_int_equal(cgroup_mount(mount, sizeof(mount)), 0);
	folder = pin_path("%s%s", mount, name.text);
	assert_int_equal(owner_of_cgroup(name.text, &owner), -ENOENT);
	assert_int_equal(mkdir(folder.text, 0755), 0);
	child = sleeper_in(folder.text);
	assert_int_equal(owner_of_cgroup(name.text, &owner), 0);
	assert_int_equal(cgroup_find(owner.id, found), 0);
	assert_string_equal(found, name.text);
	assert_int_equal(preview_begin(rig->plane, &owner), 0);
	assert_int_equal(preview_add(rig->plane, &key, 1, &owner), 0);
	assert_int_equal(preview_sweep(rig->plane), 0);
	assert_int_equal(preview_count(rig->plane), 1);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(preview_sweep(rig->plane), 1);
	assert_int_equal(preview_count(rig->plane), 0);
	assert_int_equal(plane_has_preview(rig->plane), 0);
	assert_int_equal(rmdir(folder.text), 0);
}

static void owners_do_not_take_each_others_rules(void **state)
{
	struct rig *rig = *state;
	struct hs_preview_key key = {.protocol = IPPROTO_UDP, .source_port = 1};
	struct hs_preview_owner_id parent;
	struct probe self = probe_begin(rig);

	assert_int_equal(owner_of_process(getppid(), &parent), 0);
	assert_int_equal(preview_begin(rig->plane, &parent), 0);
	assert_int_equal(preview_add(rig->plane, &key, 1, &parent), 0);
	assert_int_equal(preview_add(rig->plane, &key, 0, &self.owner), -EEXIST);
	assert_int_equal(preview_end(rig->plane, &self.owner), 0);
	assert_int_equal(preview_count(rig->plane), 1);
	assert_int_equal(plane_has_preview(rig->plane), 1);
	assert_int_equal(preview_end(rig->plane, &parent), 0);
	probe_end(&self);
	/* a dead one's is free to take */
	orphan_rule(rig, &key);
	assert_int_equal(preview_add(rig->plane, &key, 0, &self.owner), 0);
	assert_int_equal(preview_sweep(rig->plane), 1);
	assert_int_equal(preview_count(rig->plane), 1);
	probe_end(&self);
}

static void there_is_room_for_so_many(void **state)
{
	struct rig *rig = *state;
	struct hs_preview_key key = {.protocol = IPPROTO_TCP};
	struct probe self = probe_begin(rig);
	int r = 0;

	for (unsigned i = 1; i < HS_PREVIEW_MAX; i++) {
		key.source_port = i;
		assert_int_equal(preview_add(rig->plane, &key, 1, &self.owner), 0);
	}
	key.source_port = 0;
	r = preview_add(rig->plane, &key, 1, &self.owner);
	assert_int_equal(r, -E2BIG);
	assert_int_equal(preview_count(rig->plane), HS_PREVIEW_MAX - 1);
	probe_end(&self);
}

/* A member of the group may have as many connections under exec as it likes. */
static void a_probe_has_room_whatever_commands_have_open(void **state)
{
	struct rig *rig = *state;
	struct hs_preview_key key = {.protocol = IPPROTO_TCP};
	struct hs_preview_owner_id command;
	struct probe self;
	char cgroup[PATH_MAX];
	int r = 0;

	assert_int_equal(cgroup_of_process(getpid(), cgroup), 0);
	assert_int_equal(owner_of_cgroup(cgroup, &command), 0);
	assert_int_equal(preview_begin(rig->plane, &command), 0);
	for (unsigned i = 1; !r && i <= HS_PREVIEW_MAX; i++) {
		key.source_port = i;
		r = preview_add(rig->plane, &key, 1, &command);
	}
	assert_int_equal(r, -E2BIG);
	/* its own entry, and a rule */
	self = probe_begin(rig);
	key.dest_port = 1;
	for (unsigned i = 0; i < 100; i++) {
		key.source_port = i;
		assert_int_equal(preview_add(rig->plane, &key, 0, &self.owner), 0);
	}
	assert_true(preview_count(rig->plane) < HS_PREVIEW_MAX);
	assert_int_equal(preview_end(rig->plane, &command), 0);
	assert_int_equal(preview_count(rig->plane), 100);
	probe_end(&self);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_probe_has_room_whatever_commands_have_open),
		CASE(a_probe_reaches_its_slot),
		CASE(a_slot_that_was_set_aside),
		CASE(over_ipv6),
		CASE(over_ipv4_on_a_dual_listener),
		CASE(datagrams_leave_no_flow),
		CASE(with_syn_cookies),
		CASE(whatever_the_word_says),
		CASE(a_slot_that_is_not_complete),
		CASE(a_slot_that_is_down_is_told_by_the_miss),
		CASE(the_same_port_to_another_listener_is_another_connection),
		CASE(a_waiting_connection_keeps_its_rule),
		CASE(nobody_else_is_touched),
		CASE(keys_are_complete),
		CASE(what_a_dead_owner_leaves_is_swept),
		CASE(a_cgroup_owns_as_long_as_it_lives),
		CASE(owners_do_not_take_each_others_rules),
		CASE(there_is_room_for_so_many),
	};

	return cases_run("preview", tests);
}
