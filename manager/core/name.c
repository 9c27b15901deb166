/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hs_abi.h"
#include "util/macro.h"
#include "util/parse.h"

#define NAME_CHARS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\"
#define DOT_IN_PIN "%2E"

static bool ends_with(const char *text, size_t length, const char *suffix)
{
	size_t n = strlen(suffix);

	return length >= n && memcmp(text + length - n, suffix, n) == 0;
}

static bool is_name(const char *text, size_t length)
{
	size_t dots = 0;

	if (length == 0 || length >= SERVICE_NAME_MAX || text[0] == '.')
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!text[i] || !strchr(NAME_CHARS, text[i]))
			return false;
		dots += text[i] == '.';
	}
	if (ends_with(text, length, ".service") || ends_with(text, length, ".socket"))
		return false;
	return length + dots * (strlen(DOT_IN_PIN) - 1) < PIN_NAME_MAX;
}

bool name_is_valid(const char *service)
{
	return service && is_name(service, strlen(service));
}

/* Copies the first `length` bytes of `text` if they are a service name. */
static int copy_name(const char *text, size_t length, char ret_service[SERVICE_NAME_MAX])
{
	if (!is_name(text, length))
		return -EINVAL;
	memcpy(ret_service, text, length);
	ret_service[length] = 0;
	return 0;
}

/* What stands behind the first '@' must be an instance, perhaps empty, and perhaps a suffix. */
static enum name_kind kind_of_instance(const char *instance)
{
	size_t length = strlen(instance);

	if (strspn(instance, NAME_CHARS "@") != length)
		return NAME_INVALID;
	if (ends_with(instance, length, ".socket"))
		return NAME_SOCKET;
	if (*instance == 0 || !strcmp(instance, ".service"))
		return NAME_TEMPLATE;
	return NAME_INSTANCE;
}

enum name_kind name_kind(const char *text)
{
	const char *at = text ? strchr(text, '@') : NULL;
	size_t length;

	if (!text)
		return NAME_INVALID;
	if (at)
		return is_name(text, (size_t)(at - text)) ? kind_of_instance(at + 1) : NAME_INVALID;
	if (name_is_valid(text))
		return NAME_SERVICE;

	length = strlen(text);
	if (ends_with(text, length, ".service") && is_name(text, length - strlen(".service")))
		return NAME_PLAIN;
	if (ends_with(text, length, ".socket") && is_name(text, length - strlen(".socket")))
		return NAME_SOCKET;
	return NAME_INVALID;
}

static int slot_from_text(const char *text, size_t length, unsigned *ret_slot)
{
	char digits[3] = "";
	uint64_t slot;

	if (length == 0 || length >= sizeof(digits) || (length > 1 && text[0] == '0'))
		return -EINVAL;
	memcpy(digits, text, length);
	if (parse_unsigned(digits, 0, HS_SLOTS_MAX - 1, &slot) < 0)
		return -EINVAL;
	*ret_slot = (unsigned)slot;
	return 0;
}

int name_from_unit(const char *unit, char ret_service[SERVICE_NAME_MAX], unsigned *ret_slot)
{
	const char *at = unit ? strchr(unit, '@') : NULL;
	unsigned slot;
	size_t length;

	if (!at)
		return -EINVAL;
	length = strlen(at + 1);
	if (!ends_with(at + 1, length, ".service") ||
	    slot_from_text(at + 1, length - strlen(".service"), &slot) < 0 ||
	    copy_name(unit, (size_t)(at - unit), ret_service) < 0)
		return -EINVAL;
	*ret_slot = slot;
	return 0;
}

int name_from_template(const char *text, char ret_service[SERVICE_NAME_MAX])
{
	enum name_kind kind = name_kind(text);

	if (kind != NAME_SERVICE && kind != NAME_TEMPLATE)
		return -EINVAL;
	return copy_name(text, strcspn(text, "@"), ret_service);
}

int name_guess(const char *text, char ret_service[SERVICE_NAME_MAX])
{
	enum name_kind kind = name_kind(text);
	size_t length;

	if (kind == NAME_PLAIN || kind == NAME_INVALID)
		return -EINVAL;
	length = strcspn(text, "@");
	if (!text[length] && kind == NAME_SOCKET)
		length -= strlen(".socket");
	return copy_name(text, length, ret_service);
}

static int make_unit(const char *service, unsigned slot, const char *suffix, char *ret_unit,
		     size_t size)
{
	char unit[UNIT_NAME_MAX];
	int n;

	if (!name_is_valid(service) || slot >= HS_SLOTS_MAX)
		return -EINVAL;
	n = snprintf(unit, sizeof(unit), "%s@%u%s", service, slot, suffix);
	if (n < 0 || (size_t)n >= MIN(size, sizeof(unit)))
		return -EINVAL;
	memcpy(ret_unit, unit, (size_t)n + 1);
	return 0;
}

int name_unit(const char *service, unsigned slot, char *ret_unit, size_t size)
{
	return make_unit(service, slot, ".service", ret_unit, size);
}

int name_socket_unit(const char *service, unsigned slot, char *ret_unit, size_t size)
{
	return make_unit(service, slot, ".socket", ret_unit, size);
}

int name_to_pin(const char *service, char *ret_pin, size_t size)
{
	char pin[PIN_NAME_MAX];
	size_t n = 0;

	if (!name_is_valid(service))
		return -EINVAL;
	for (; *service; service++) {
		const char *piece = *service == '.' ? DOT_IN_PIN : (const char[]) {*service, 0};

		/* fits: is_name() counted the dots */
		memcpy(pin + n, piece, strlen(piece));
		n += strlen(piece);
	}
	if (n >= size)
		return -EINVAL;
	memcpy(ret_pin, pin, n);
	ret_pin[n] = 0;
	return 0;
}

int name_from_pin(const char *pin, char ret_service[SERVICE_NAME_MAX])
{
	char service[SERVICE_NAME_MAX];
	size_t n = 0;

	if (!pin)
		return -EINVAL;
	for (; *pin; pin++) {
		bool dot = !strncmp(pin, DOT_IN_PIN, strlen(DOT_IN_PIN));

		if (n == sizeof(service) || (!dot && (*pin == '.' || *pin == '%')))
			return -EINVAL;
		service[n++] = dot ? '.' : *pin;
		if (dot)
			pin += strlen(DOT_IN_PIN) - 1;
	}
	return copy_name(service, n, ret_service);
}
