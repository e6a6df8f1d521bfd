-- The one clock of all scripts: the loader puts it in front of each, and no other script reads TIME.
--
-- Redis's wall clock may be stepped: by hand, by NTP, by a failover to a host with another clock. What is measured here
-- (deadlines, waits, leases) must not jump with it, so all times are Redis's TIME plus an offset, which absorbs every step
-- that a worker's monotonic clock disproves. A hash holds the offset and the time of the last beat of any worker:
--   o  the offset (ms)
--   t  the time of the last beat (ms), which never goes back
-- Workers beat about once a second, and each reports the least time that has passed since it last knew the time. A
-- difference of more than SLACK is a step; a smaller one is followed, so that slewed or drifting clocks make no steps.
-- The first beat after a step absorbs it, and all later ones find a time that agrees with theirs.
-- Until then time stands still: TIME counts for no more than SLACK beyond the last beat, so that nothing acts on a step.

local SLACK = 5000 -- ms by which TIME and a monotonic clock may differ from one beat to the next

local function redis_time()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Return the time (ms) of the clock in a hash, and the time (ms) that it would show without a check for steps.
local function time_of_clock(clock)
  local state = redis.call('HMGET', clock, 'o', 't')
  local last, unstepped = tonumber(state[2]), redis_time() + (state[1] or 0)
  if not last or (unstepped >= last and unstepped <= last + SLACK) then return unstepped, unstepped end
  return last, unstepped
end
