-- Report that this consumer is alive; put back what dead consumers had taken and not settled.
--
-- Includes observe
--
-- KEYS[1]  the zset of consumers, name -> when it took last (s)
-- KEYS[2]  the queue
-- ARGV     prefix of the consumers' keys, this consumer, life of its beat (ms), what it knows of the time: two numbers,
--          see observe.lua
-- Returns  {now (ms), by how much Redis's clock was stepped (ms, or `?` while that is not known), how many messages came
--          back}
-- A consumer's list is PREFIX:NAME; PREFIX:beats is a zset, consumer -> when its beat ends (ms), PREFIX:clock the clock.
-- A dead consumer is forgotten an hour after it took last, because a `take` that it sent may still arrive after its beat
-- has ended.

local beats, back = ARGV[1] .. ':beats', 0

local now, step = observe(ARGV[1] .. ':clock', beats, ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5]))
redis.call('ZADD', beats, now + ARGV[3], ARGV[2])
if not step then return {now, '?', 0} end
redis.call('ZREMRANGEBYSCORE', beats, '-inf', now)
local consumers = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for index = 1, #consumers, 2 do
  local name = consumers[index]
  local list = ARGV[1] .. ':' .. name
  if not redis.call('ZSCORE', beats, name) then
    while redis.call('LMOVE', list, KEYS[2], 'LEFT', 'RIGHT') do back = back + 1 end
    if tonumber(consumers[index + 1]) < now / 1000 - 3600 then redis.call('ZREM', KEYS[1], name) end
  end
end
return {now, step, back}
