-- Tell the time.
--
-- KEYS[1]  the events stream
-- Returns  {now (ms), Redis's own time (ms), how many workers live}

local now, unstepped = time_of_clock(key('clock')) -- with no worker left the time stands still, but their beats are over
return {now, redis_time(), redis.call('ZCOUNT', key('workers'), '(' .. unstepped, '+inf')}
