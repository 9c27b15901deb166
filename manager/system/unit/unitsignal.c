// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/unit/unitsignal.h"

#include "system/unit/unitlink.h"
#include "util/macro.h"

struct unit_signal {
	sd_bus_slot *call;
	unit_signal_fn on_end;
	void *userdata;
};

DEFINE_CLEANUP(struct unit_signal, unit_signal_free)

struct unit_signal *unit_signal_free(struct unit_signal *signal)
{
	if (!signal)
		return NULL;
	sd_bus_slot_unref(signal->call);
	free(signal);
	return NULL;
}

static bool is_gone(const sd_bus_error *error)
{
	return sd_bus_error_has_names(error, "org.freedesktop.systemd1.NoSuchProcess",
				      "org.freedesktop.systemd1.NoSuchUnit", "System.Error.ESRCH");
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	_cleanup_(unit_signal_freep) struct unit_signal *signal = userdata;
	const sd_bus_error *error = sd_bus_message_get_error(m);

	(void)ret_error;
	if (error)
		signal->on_end(error->message ?: error->name, is_gone(error), signal->userdata);
	else
		signal->on_end(NULL, false, signal->userdata);
	return 0;
}

int unit_signal_new(sd_bus *bus, const char *unit, int number, unit_signal_fn on_end,
		    void *userdata, struct unit_signal **ret_signal)
{
	_cleanup_(unit_signal_freep) struct unit_signal *signal = calloc(1, sizeof(*signal));
	int r;

	if (!signal)
		return -ENOMEM;
	*signal = (struct unit_signal) {.on_end = on_end, .userdata = userdata};
	r = sd_bus_call_method_async(bus, &signal->call, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
				     "KillUnit", on_answer, signal, "ssi", unit, "main", number);
	if (r < 0)
		return r;
	*ret_signal = steal_ptr(&signal);
	return 0;
}
