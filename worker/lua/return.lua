-- Say that this taker lives; put back what dead takers had taken and not settled.
--
-- KEYS[1]  the set of takers
-- KEYS[2]  the queue
-- ARGV     prefix of the takers' keys, this taker, life of its beat (ms)
-- Returns  how many messages came back
-- A taker's list is PREFIX:NAME, its beat PREFIX:NAME:beat.

redis.call('SET', ARGV[1] .. ':' .. ARGV[2] .. ':beat', '1', 'PX', ARGV[3])
redis.call('SADD', KEYS[1], ARGV[2])
local back = 0
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local list = ARGV[1] .. ':' .. name
  if redis.call('EXISTS', list .. ':beat') == 0 then
    while redis.call('LMOVE', list, KEYS[2], 'LEFT', 'RIGHT') do back = back + 1 end
    redis.call('SREM', KEYS[1], name)
  end
end
return back
