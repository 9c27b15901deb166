// SPDX-License-Identifier: GPL-2.0-or-later
/* weight, pin, where, rebalance, table: who is on which slot under policy hash. */
#include <stdarg.h>
#include <string.h>

#include "core/canary.h"
#include "core/spread/spread.h"
#include "hsctl/json.h"
#include "hsctl/show/render_spread.h"
#include "hsctl/standin.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "service/report/placement.h"
#include "service/whole/calls_spread.h"
#include "util/macro.h"
#include "util/parse.h"

/* What is asked for, by whichever way. */
struct question {
	unsigned slot, percent;
	const char *text;
	bool dry_run;
};

typedef void call_fn(struct service *service, const struct question *question,
		     struct request *request);

static void ask_here(const char *service, call_fn *call, const struct question *question,
		     struct reply *reply)
{
	_cleanup_(standin_freep) struct standin *standin = standin_new(service, reply);

	if (!standin)
		return;
	call(standin_service(standin), question, standin_ask(standin, reply));
	standin_wait(standin, NULL, USEC_INFINITY);
}

/* As hsd would be asked, if it is not there. */
static void finish_asking(const struct arguments *arguments, enum client_answer answer,
			  const char *service, call_fn *call, const struct question *question,
			  struct reply *reply)
{
	if (!verb_may_do_directly(arguments, answer))
		return;
	ask_here(service, call, question, reply);
	verb_tell_direct(arguments, reply);
}

static struct client_call call_of(const struct arguments *arguments, const char *service,
				  const char *method)
{
	return (struct client_call) {
		.service = service,
		.method = method,
		.timeout_usec = verb_timeout(arguments, VERB_TIMEOUT),
	};
}

/* Lists on a terminal what programs get as JSON. */
static int end_with(const struct arguments *arguments, struct reply *reply,
		    void (*show)(const struct render *render, json_object *answer))
{
	_cleanup_(json_object_putp) json_object *answer = NULL;
	struct render render;

	if (!arguments->json && reply->exit == EXIT_DONE && reply->text)
		answer = json_parse(reply->text);
	if (answer) {
		render = verb_render(arguments);
		show(&render, answer);
		reply_done(reply);
		return EXIT_DONE;
	}
	return verb_end(arguments, reply);
}

static int read_slot(const char *text, unsigned *ret_slot)
{
	uint64_t slot;

	if (parse_unsigned(text, 0, HS_SLOTS_MAX - 1, &slot) < 0) {
		complain("\"%.40s\" is not the number of a slot, 0 to %u", text, HS_SLOTS_MAX - 1);
		return EXIT_USAGE;
	}
	*ret_slot = (unsigned)slot;
	return EXIT_DONE;
}

/* ---- table ---- */

static void table_here(struct service *service, const struct question *question,
		       struct request *request)
{
	(void)question;
	call_table(service, request);
}

static int ask_table(const struct arguments *arguments, const char *service,
		     struct reply *ret_reply)
{
	struct client_call call = call_of(arguments, service, "Table");
	enum client_answer answer = client_ask(arguments, &call, ret_reply, "");

	finish_asking(arguments, answer, service, table_here, &(struct question) {0}, ret_reply);
	return ret_reply->exit;
}

static void show_fingerprint(const struct render *render, json_object *table)
{
	fprintf(render->out, "%s\n", json_text(table, "fingerprint"));
}

int verb_table(const struct arguments *arguments)
{
	char service[SERVICE_NAME_MAX];
	struct reply reply = {0};

	if (verb_service(arguments, service))
		return EXIT_USAGE;
	ask_table(arguments, service, &reply);
	return end_with(arguments, &reply, arguments->hash ? show_fingerprint : render_table);
}

/* ---- weight ---- */

static void weigh_here(struct service *service, const struct question *question,
		       struct request *request)
{
	call_set_weight(service, question->slot, question->percent, request);
}

int verb_weight(const struct arguments *arguments)
{
	struct client_call call;
	char service[SERVICE_NAME_MAX];
	struct question question = {0};
	struct reply reply = {0};
	enum client_answer answer;

	if (verb_service(arguments, service) || read_slot(arguments->given[1], &question.slot))
		return EXIT_USAGE;
	if (spread_parse_weight(arguments->given[2], &question.percent) < 0) {
		complain("\"%.40s\" is no weight; it takes 0%% to %u%%, such as: hsctl weight %s "
			 "%u 50%%",
			 arguments->given[2], HS_WEIGHT_MAX, service, question.slot);
		return EXIT_USAGE;
	}
	call = call_of(arguments, service, "SetWeight");
	answer = client_ask(arguments, &call, &reply, "uu", question.slot, question.percent);
	finish_asking(arguments, answer, service, weigh_here, &question, &reply);
	return verb_end(arguments, &reply);
}

/* ---- pin ---- */

static void pin_here(struct service *service, const struct question *question,
		     struct request *request)
{
	call_set_pinned(service, question->text, question->slot, request);
}

static int read_pin(const struct arguments *arguments, const char *service,
		    struct question *ret_question)
{
	struct hs_prefix prefix;

	if (arguments->n != 3) {
		complain("pin takes a prefix of addresses and a slot: hsctl pin %s 192.0.2.0/24 3",
			 service);
		return EXIT_USAGE;
	}
	ret_question->text = arguments->given[1];
	if (prefix_parse(ret_question->text, &prefix) < 0) {
		complain("\"%.60s\" is not a prefix of addresses, such as 192.0.2.0/24 or "
			 "2001:db8::/32",
			 ret_question->text);
		return EXIT_USAGE;
	}
	ret_question->slot = HS_SLOT_NONE;
	return strcmp(arguments->given[2], "none")
		       ? read_slot(arguments->given[2], &ret_question->slot)
		       : EXIT_DONE;
}

int verb_pin(const struct arguments *arguments)
{
	struct client_call call;
	char service[SERVICE_NAME_MAX];
	struct question question = {0};
	struct reply reply = {0};
	enum client_answer answer;

	if (verb_service(arguments, service))
		return EXIT_USAGE;
	if (arguments->n == 1) {
		ask_table(arguments, service, &reply);
		return end_with(arguments, &reply, render_pinned);
	}
	if (read_pin(arguments, service, &question))
		return EXIT_USAGE;
	call = call_of(arguments, service, "SetPinned");
	answer = client_ask(arguments, &call, &reply, "su", question.text, question.slot);
	finish_asking(arguments, answer, service, pin_here, &question, &reply);
	return verb_end(arguments, &reply);
}

/* ---- where ---- */

static void where_here(struct service *service, const struct question *question,
		       struct request *request)
{
	call_where(service, question->text, request);
}

int verb_where(const struct arguments *arguments)
{
	struct question question = {.text = arguments->given[1]};
	struct client_call call;
	char service[SERVICE_NAME_MAX];
	struct problem problem = {0};
	struct reply reply = {0};
	enum client_answer answer;

	if (verb_service(arguments, service))
		return EXIT_USAGE;
	if (placement_check_client(question.text, &problem) < 0) {
		complain("%s", problem.text);
		return EXIT_USAGE;
	}
	call = call_of(arguments, service, "Where");
	answer = client_ask(arguments, &call, &reply, "s", question.text);
	finish_asking(arguments, answer, service, where_here, &question, &reply);
	return verb_end(arguments, &reply);
}

/* ---- rebalance ---- */

static void rebalance_here(struct service *service, const struct question *question,
			   struct request *request)
{
	call_rebalance(service, question->dry_run, request);
}

int verb_rebalance(const struct arguments *arguments)
{
	struct question question = {.dry_run = arguments->dry_run};
	struct client_call call;
	char service[SERVICE_NAME_MAX];
	struct reply reply = {0};
	enum client_answer answer;

	if (verb_service(arguments, service))
		return EXIT_USAGE;
	call = call_of(arguments, service, "Rebalance");
	answer = client_ask(arguments, &call, &reply, "b", question.dry_run);
	finish_asking(arguments, answer, service, rebalance_here, &question, &reply);
	return end_with(arguments, &reply, render_rebalance);
}
