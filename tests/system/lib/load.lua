-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- What the clients of wrk saw, counted request by request, in one line at the end:
--
--   wrk -t N -c N -H 'Connection: close' -s load.lua URL -- TEXT [KIND0 KIND1]
--
--   requests=… lost=… refused=… reset=… hung=… wrong=… slot0=… slot1=… other=…
--
-- With as many threads as connections each thread is one client that asks again when it has its answer
-- and has rested for LOAD_PAUSE_MS (from the environment). The rest comes before the next connection is
-- opened: one that waited idle would be closed by a server that stops, by right. "lost" is every request that was begun and not answered, whatever wrk itself makes of it (it
-- says nothing of a connection that was closed without an answer). refused and reset are wrk's own
-- counts, by whether the first write failed (mostly, but not only, for want of a listener) or a read.
-- "hung" clients had waited for 2 s or more when it ended. An answer is wrong if it is not 200 or lacks
-- TEXT. slot0 and slot1 are those that match the pattern KIND0 or KIND1 ("^slot=0 ", "^slot=1 ").

local ffi = require("ffi")

ffi.cdef([[
struct hs_timespec { long sec; long nsec; };
int clock_gettime(int clock, struct hs_timespec *time);
int usleep(unsigned int microseconds);
]])

local MONOTONIC, PATIENCE_S = 1, 2

local threads = {}

-- Each thread has a Lua state of its own, which done() reads through thread:get().
text = ""
pause_us = tonumber(os.getenv("LOAD_PAUSE_MS") or 0) * 1000
kind0, kind1 = "^slot=0 ", "^slot=1 "
asked, lost, wrong = 0, 0, 0
waiting = false
moved_at = 0 -- when the last answer came or the last request began
slot0, slot1, other = 0, 0, 0

local function now()
	local time = ffi.new("struct hs_timespec")
	ffi.C.clock_gettime(MONOTONIC, time)
	return tonumber(time.sec) + tonumber(time.nsec) / 1e9
end

function setup(thread)
	table.insert(threads, thread)
	thread:set("first", #threads == 1)
end

function init(arguments)
	text = arguments[1] or ""
	kind0 = arguments[2] or kind0
	kind1 = arguments[3] or kind1
end

-- Called when a connection is ready to write, whether the last one was answered or not.
function request()
	-- wrk calls it once on its own account before it starts
	if first then
		first = false
		return wrk.format()
	end
	if waiting then
		lost = lost + 1
	end
	asked = asked + 1
	waiting = true
	moved_at = now()
	return wrk.format()
end

function response(status, headers, body)
	waiting = false
	moved_at = now()
	if status ~= 200 or not body:find(text, 1, true) then
		wrong = wrong + 1
	elseif body:find(kind0) then
		slot0 = slot0 + 1
	elseif body:find(kind1) then
		slot1 = slot1 + 1
	else
		other = other + 1
	end
	if pause_us > 0 then
		ffi.C.usleep(pause_us)
	end
end

function done(summary, latency, requests)
	local all = { asked = 0, lost = 0, wrong = 0, slot0 = 0, slot1 = 0, other = 0 }
	local hung = 0

	for _, thread in ipairs(threads) do
		for key in pairs(all) do
			all[key] = all[key] + thread:get(key)
		end
		if now() - thread:get("moved_at") >= PATIENCE_S then
			hung = hung + 1
		end
	end
	print(string.format("requests=%d lost=%d refused=%d reset=%d hung=%d wrong=%d slot0=%d slot1=%d other=%d",
		all.asked, all.lost, summary.errors.write, summary.errors.read + summary.errors.connect,
		hung, all.wrong, all.slot0, all.slot1, all.other))
end
