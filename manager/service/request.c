// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "service/report/report.h"
#include "util/macro.h"

struct request *request_done_with(struct request *request, json_object *outcome, int fd)
{
	_cleanup_(freep) char *text = request && outcome ? report_text(outcome) : NULL;

	if (request && outcome && !text)
		request_fail_errno(request, -ENOMEM);
	else if (request)
		request->ops->done(request, text, fd);
	json_object_put(outcome);
	return NULL;
}

struct request *request_done(struct request *request, json_object *outcome)
{
	return request_done_with(request, outcome, -1);
}

struct request *request_fail(struct request *request, enum request_failure failure,
			     const char *template, ...)
{
	struct problem sentence;
	va_list arguments;

	if (!request)
		return NULL;
	va_start(arguments, template);
	vsnprintf(sentence.text, sizeof(sentence.text), template, arguments);
	va_end(arguments);
	request->ops->fail(request, failure, sentence.text);
	return NULL;
}

struct request *request_fail_errno(struct request *request, int error)
{
	return request_fail(request, REQUEST_FAILED, "%s", strerror(-error));
}

struct request *request_free(struct request *request)
{
	return request_fail(request, REQUEST_LEFT, "hsd stops, or manages this service no longer");
}

void request_actor(const struct request *request, struct journal_actor *ret_actor)
{
	*ret_actor = JOURNAL_NOBODY;
	if (request)
		request->ops->actor(request, ret_actor);
}

bool request_may_see(const struct request *request)
{
	return request && request->ops->may_see(request);
}

bool request_is_root(const struct request *request)
{
	return request && request->ops->is_root(request);
}

struct request *request_take(struct request **request)
{
	return request ? steal_ptr(request) : NULL;
}

bool requests_add(struct requests *requests, struct request *request)
{
	if (!request)
		return true;
	if (requests->n == REQUESTS_MAX) {
		request_fail_errno(request, -EBUSY);
		return false;
	}
	requests->waiting[requests->n++] = request;
	return true;
}

void requests_done(struct requests *requests, const char *service, unsigned slot,
		   const char *message)
{
	while (requests->n) {
		json_object *outcome = json_object_new_object();

		json_object_object_add(outcome, "service", json_object_new_string(service));
		json_object_object_add(outcome, "slot", json_object_new_int((int)slot));
		json_object_object_add(outcome, "message", json_object_new_string(message));
		request_done(requests->waiting[--requests->n], outcome);
	}
}

void requests_fail(struct requests *requests, const char *sentence)
{
	while (requests->n)
		request_fail(requests->waiting[--requests->n], REQUEST_FAILED, "%s", sentence);
}

void requests_leave(struct requests *requests)
{
	while (requests->n)
		request_free(requests->waiting[--requests->n]);
}
