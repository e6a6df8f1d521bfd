-- Return the time, and which workers live.
--
-- Includes keys
--
-- KEYS[1]  the events stream
-- Returns  {now (ms), Redis's own time (ms), how many workers live, names of the backends that these serve…}

local now, unstepped = time_of_clock(key('clock')) -- without workers the time stands still, but their beats end
local living = '(' .. unstepped
local served = redis.call('ZRANGEBYSCORE', key('serves'), living, '+inf')
return {now, redis_time(), redis.call('ZCOUNT', key('workers'), living, '+inf'), unpack(served)}
