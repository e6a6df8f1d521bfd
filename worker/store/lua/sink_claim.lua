-- Take the lease of a sink that nobody delivers to. A sink without a position starts after the newest event.
--
-- Includes sinks
--
-- KEYS[1]  the events stream
-- ARGV     sink, worker, life of the lease (ms), kind, for how long events are kept for it (s)
-- Returns  {now (ms), number of the lease or 0 if another worker has one, position}

local name, worker = key('sink', ARGV[1]), ARGV[2]
local now = clock()
go_on_without_memory()
local held = redis.call('HMGET', name, 'worker', 'until', 'position')
if held[1] and held[1] ~= worker and tonumber(held[2]) > now then return {now, 0, ''} end
local position = held[3]
if not position then
  local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
  position = newest and newest[1] or '0-0'
  redis.call('SADD', key('sinks'), ARGV[1])
  redis.call('HSET', name, 'position', position, 'oldest', '', 'since', now)
end
local epoch = redis.call('HINCRBY', name, 'epoch', 1)
redis.call('HSET', name, 'worker', worker, 'until', now + ARGV[3], 'seen', now, 'kind', ARGV[4], 'keep', ARGV[5])
return {now, epoch, position}
