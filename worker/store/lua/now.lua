-- Return the time, and which workers live.
--
-- Includes keys
--
-- KEYS[1]  the events stream
-- Returns  {now (ms), Redis's own time (ms), the time (ms) for ages, how many workers live, names of the backends that
--           these serve…}
--
-- Without workers the time stands still, but their beats end and ages grow: from then on the time for ages is Redis's.
-- Nothing may be decided by it: a step of Redis's clock shows in it until the next beat.

local now, unstepped = time_of_clock(key('clock'))
local living = '(' .. unstepped
local served = redis.call('ZRANGEBYSCORE', key('serves'), living, '+inf')
local workers = redis.call('ZCOUNT', key('workers'), living, '+inf')
return {now, redis_time(), workers == 0 and math.max(now, unstepped) or now, workers, unpack(served)}
