-- Say that this taker lives; put back what dead takers had taken and not settled.
--
-- KEYS[1]  the zset of takers, name -> when it took last (s)
-- KEYS[2]  the queue
-- ARGV     prefix of the takers' keys, this taker, life of its beat (ms)
-- Returns  how many messages came back
-- A taker's list is PREFIX:NAME, its beat PREFIX:NAME:beat. A dead taker is forgotten an hour after it took last:
-- an order that it had sent may still arrive after its beat has ended.

redis.call('SET', ARGV[1] .. ':' .. ARGV[2] .. ':beat', '1', 'PX', ARGV[3])
local now, back = tonumber(redis.call('TIME')[1]), 0
local takers = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for index = 1, #takers, 2 do
  local name = takers[index]
  local list = ARGV[1] .. ':' .. name
  if redis.call('EXISTS', list .. ':beat') == 0 then
    while redis.call('LMOVE', list, KEYS[2], 'LEFT', 'RIGHT') do back = back + 1 end
    if tonumber(takers[index + 1]) < now - 3600 then redis.call('ZREM', KEYS[1], name) end
  end
end
return back
