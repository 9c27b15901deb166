-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- What each client of wrk saw, request by request: when it ended, how long it took in full, and how.
--
--   wrk -t N -c N -H 'Connection: close' -s wrk-timeline.lua URL -- PREFIX TEXT
--
-- With as many threads as connections, each thread is one client that asks again as soon as it has its
-- answer. TEXT must be in every answer. Thread I writes PREFIX.I, records of 16 bytes in host byte order:
--
--   u64 end of the request, CLOCK_REALTIME in nanoseconds
--   u32 duration in microseconds, from the end of the request before it: so it has the connecting in it
--   u32 0 answered, 1 answered wrongly, 2 failed
--
-- and PREFIX.totals says at the end what kinds of failures there were. wrk itself would miss much: its own
-- latency begins only when the connection stands, it says nothing of a connection that was closed
-- without an answer, and nothing of a request that is never answered.

local ffi = require("ffi")

ffi.cdef([[
struct hs_timespec { long sec; long nsec; };
int clock_gettime(int clock, struct hs_timespec *time);
struct hs_record { uint64_t end_ns; uint32_t duration_us; uint32_t outcome; };
]])

local CLOCK_REALTIME, CLOCK_MONOTONIC = 0, 1
local ANSWERED, WRONG, FAILED = 0, 1, 2
local PATIENCE_S = 2

local time = ffi.new("struct hs_timespec")
local record = ffi.new("struct hs_record")
local record_size = ffi.sizeof(record)
local threads = {}

local function seconds(clock)
	ffi.C.clock_gettime(clock, time)
	return tonumber(time.sec) + tonumber(time.nsec) / 1e9
end

-- Each thread has a Lua state of its own, and so has done(), which reads these through thread:get().
id = 0 -- of this thread, from 1
prefix, text = "", ""
asked_at = 0 -- CLOCK_MONOTONIC in s: when this client began to want its present answer
waiting = false
failed = 0

function setup(thread)
	table.insert(threads, thread)
	thread:set("id", #threads)
end

function init(arguments)
	prefix, text = arguments[1], arguments[2]
	log = assert(io.open(prefix .. "." .. id, "wb"))
	log:setvbuf("full", 4096)
	-- wrk calls request() of its first thread once before it starts, to look at the answer
	warm_up = id == 1
end

local function write_record(outcome)
	local now = seconds(CLOCK_MONOTONIC)

	ffi.C.clock_gettime(CLOCK_REALTIME, time)
	record.end_ns = ffi.cast("uint64_t", time.sec) * 1000000000ULL + time.nsec
	record.duration_us = (now - asked_at) * 1e6
	record.outcome = outcome
	log:write(ffi.string(record, record_size))
	asked_at = now
end

-- Called when a connection is ready to write. If the last request has had no answer by now, it never will.
function request()
	if warm_up then
		warm_up = false
		return wrk.format()
	end
	if waiting then
		failed = failed + 1
		write_record(FAILED)
		log:flush()
	elseif asked_at == 0 then
		asked_at = seconds(CLOCK_MONOTONIC)
	end
	waiting = true
	return wrk.format()
end

function response(status, headers, body)
	waiting = false
	write_record((status == 200 and body:find(text, 1, true)) and ANSWERED or WRONG)
end

-- For want of better, wrk's own names: "write" is a refused connection (noticed at the first write),
-- "read" a reset, "connect" a client that could not even try and is gone.
function done(summary, latency, requests)
	local errors = summary.errors
	local all_failed, given_up = 0, 0
	local now = seconds(CLOCK_MONOTONIC)
	local totals = assert(io.open(threads[1]:get("prefix") .. ".totals", "w"))

	for _, thread in ipairs(threads) do
		all_failed = all_failed + thread:get("failed")
		if thread:get("waiting") and now - thread:get("asked_at") > PATIENCE_S then
			given_up = given_up + 1
		end
	end
	totals:write(string.format("failed %d\nrefused %d\nreset %d\ngone %d\ngiven_up %d\n",
		all_failed, errors.write, errors.read, errors.connect, given_up))
	totals:close()
end
