// SPDX-License-Identifier: GPL-2.0-or-later
/* upgrade: asks hsd for one, shows it as it goes, and says why if it was undone. */
#include <signal.h>
#include <string.h>
#include <systemd/sd-journal.h>

#include "core/upgrade.h"
#include "hsctl/json.h"
#include "hsctl/verb.h"
#include "hsctl/verbs.h"
#include "util/macro.h"
#include "util/parse.h"

#define HOLD_DEFAULT	  (30 * USEC_PER_SEC)
#define PROBATION_DEFAULT (60 * USEC_PER_SEC)
#define READY_DEFAULT	  (90 * USEC_PER_SEC)
/* Of systemd's own, for restarting both units, and of the drain. */
#define JOBS_TIMEOUT  (40 * 60 * USEC_PER_SEC)
#define JOURNAL_LINES 5

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

struct order {
	uint32_t canary[UPGRADE_CANARY_STEPS_MAX];
	unsigned n_canary;
	uint64_t hold, probation, ready;
};

/* ---- the order ---- */

static int wrong(const char *option, const char *value, const char *wanted)
{
	complain("\"%.60s\" is no value for %s; it takes %s", value, option, wanted);
	return EXIT_USAGE;
}

static int read_span(const char *option, const char *text, uint64_t otherwise, uint64_t *ret_usec)
{
	*ret_usec = otherwise;
	if (text && (parse_span(text, ret_usec) < 0 || *ret_usec > CONFIG_DRAIN_MAX))
		return wrong(option, text, "a time of at most 7d, such as 30s or 5min");
	return 0;
}

static int add_share(struct order *order, const char *word)
{
	uint32_t share;

	if (order->n_canary == UPGRADE_CANARY_STEPS_MAX || parse_percent(word, &share) < 0 ||
	    !share)
		return -EINVAL;
	order->canary[order->n_canary++] = share;
	return 0;
}

static int read_canary(const char *text, struct order *order)
{
	char word[16];

	for (const char *p = text ?: ""; *p; p += strspn(p, ",")) {
		size_t length = strcspn(p, ",");

		snprintf(word, sizeof(word), "%.*s", (int)MIN(length, sizeof(word) - 1), p);
		if (add_share(order, word) < 0)
			return wrong("--canary", text,
				     "up to 8 shares below 100%, such as 1%,10%,50%");
		p += length;
	}
	return 0;
}

static int read_order(const struct arguments *a, struct order *order)
{
	int r = read_canary(a->texts[TEXT_CANARY], order);

	if (!r)
		r = read_span("--hold", a->texts[TEXT_HOLD], HOLD_DEFAULT, &order->hold);
	if (!r)
		r = read_span("--probation", a->texts[TEXT_PROBATION], PROBATION_DEFAULT,
			      &order->probation);
	if (!r)
		r = read_span("--ready", a->texts[TEXT_READY], READY_DEFAULT, &order->ready);
	return r;
}

/* ---- showing it ---- */

struct show {
	bool quiet, terminal;
	char step[16];
	int to; /* -1 = not known yet */
};

static int on_step(const char *json, void *userdata)
{
	_cleanup_(json_object_putp) json_object *object = json_parse(json);
	const char *step = json_text(object, "step"), *text = json_text(object, "text");
	struct show *show = userdata;

	show->to = json_number(object, "to", show->to);
	/* its switchover tells of progress, too, without a share */
	if (show->quiet || !json_object_object_get_ex(object, "share", NULL))
		return 0;
	if (!show->terminal && !strcmp(step, show->step))
		return 0;
	snprintf(show->step, sizeof(show->step), "%s", step);
	printf(show->terminal ? "\r\033[K%s" : "%s\n", text);
	fflush(stdout);
	return 0;
}

/* What the new instance itself has said last. */
static void show_journal(const char *service, int slot)
{
	char match[UNIT_NAME_MAX + 32], unit[UNIT_NAME_MAX];
	sd_journal *journal = NULL;
	const void *data;
	size_t length;

	if (slot < 0 || name_unit(service, slot, unit, sizeof(unit)) < 0 ||
	    sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY) < 0)
		return;
	snprintf(match, sizeof(match), "_SYSTEMD_UNIT=%s", unit);
	if (sd_journal_add_match(journal, match, 0) >= 0 && sd_journal_seek_tail(journal) >= 0 &&
	    sd_journal_previous_skip(journal, JOURNAL_LINES) > 0) {
		fprintf(stderr, "last lines of %s:\n", unit);
		do
			if (sd_journal_get_data(journal, "MESSAGE", &data, &length) >= 0)
				fprintf(stderr, "  %.*s\n", (int)MIN(length - 8, 500U),
					(const char *)data + 8);
		while (sd_journal_next(journal) > 0);
	}
	sd_journal_close(journal);
}

static enum client_answer ask(const struct arguments *a, const struct client_call *call,
			      const struct order *order, struct reply *reply)
{
	const uint32_t *share = order->canary;

	/* the array comes last: what is beyond its count is not read */
	return client_ask(a, call, reply, "stttau", a->texts[TEXT_SMOKE] ?: "", order->hold,
			  order->probation, order->ready, order->n_canary, share[0], share[1],
			  share[2], share[3], share[4], share[5], share[6], share[7]);
}

int verb_upgrade(const struct arguments *arguments)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct show show = {.quiet = arguments->json, .to = -1};
	struct order order = {0};
	struct reply reply = {0};
	char service[SERVICE_NAME_MAX];
	struct client_call call = {
		.service = service,
		.method = "Upgrade",
		.on_progress = on_step,
		.userdata = &show,
		.interrupted = &interrupted,
		.cancel_method = "CancelUpgrade",
	};
	enum client_answer answer;

	if (verb_service(arguments, service) || read_order(arguments, &order))
		return EXIT_USAGE;
	show.terminal = isatty(STDOUT_FILENO);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	call.timeout_usec = verb_timeout(arguments, order.ready + order.probation +
							    UPGRADE_CANARY_STEPS_MAX * order.hold +
							    CONFIG_DRAIN_MAX + JOBS_TIMEOUT);
	answer = ask(arguments, &call, &order, &reply);
	if (show.terminal && !show.quiet)
		fputs("\r\033[K", stdout);
	if (answer == CLIENT_ABSENT)
		reply_fail(&reply, EXIT_FAILED,
			   "an upgrade needs hsd; start it: systemctl start hsd");
	else if (answer == CLIENT_LOST)
		reply_fail(
			&reply, EXIT_FAILED,
			"%s: hsd went away in the middle of the upgrade; the next hsd finishes or "
			"undoes it, see hsctl events %s",
			service, service);
	if ((reply.exit == EXIT_UNDONE || reply.exit == EXIT_FAILED) && answer == CLIENT_REFUSED &&
	    !arguments->host && !arguments->machine)
		show_journal(service, show.to);
	return verb_end(arguments, &reply);
}
