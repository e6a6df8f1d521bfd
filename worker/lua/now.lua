-- Tell the time.
--
-- KEYS[1]  the events stream
-- Returns  {now (ms), Redis's own time (ms), how many workers live}

local now = clock()
return {now, redis_time(), redis.call('ZCOUNT', key('workers'), '(' .. now, '+inf')}
