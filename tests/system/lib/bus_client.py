# SPDX-License-Identifier: GPL-2.0-or-later
# bus_client.py SERVICE: what a program would do with hsd, by python3-dbus: finds the service, reads its properties in
# their types, switches it to the standby, and fails if anything is not as it should be.
import json
import sys

import dbus

name = sys.argv[1]
bus = dbus.SystemBus()
manager = dbus.Interface(bus.get_object("org.hotstandby1", "/org/hotstandby1"), "org.hotstandby1.Manager")
proxy = bus.get_object("org.hotstandby1", manager.GetService(name))
service = dbus.Interface(proxy, "org.hotstandby1.Service")
properties = dbus.Interface(proxy, "org.freedesktop.DBus.Properties")


def read():
    return properties.GetAll("org.hotstandby1.Service")


before = read()
assert name in manager.ListServices()
assert isinstance(before["Active"], dbus.UInt32) and isinstance(before["Held"], dbus.Boolean)
assert [int(slot) for slot, _, _ in before["Slots"]] == [0, 1]
standby = next(slot for slot, role, state in before["Slots"] if role == "standby" and state == "ready")
answer = json.loads(service.Switchover(dbus.Int32(standby), dbus.UInt64(2**64 - 1), dbus.UInt64(0), "keep"))
after = read()
assert answer["to"] == standby == after["Active"], (answer, after)
assert after["Generation"] == before["Generation"] + 1
assert json.loads(service.Describe())["active"] == standby
try:
    service.SetPolicy("nonsense")
except dbus.DBusException as error:
    assert error.get_dbus_name() == "org.hotstandby1.Error.InvalidArgument", error
else:
    raise AssertionError("nonsense was taken")
print(f"{name}: slot {before['Active']} to {after['Active']}, {len(after)} properties")
