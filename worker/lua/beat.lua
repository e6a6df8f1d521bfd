-- One worker's beat: say that it lives and which backends it serves, give back what dead workers had claimed, tell what
-- is due next.
--
-- KEYS[1]  the events stream
-- ARGV     worker, life of a beat (ms), backends…
-- Returns  {now (ms), next due of each backend (ms, or -1)…}

local now, worker = clock(), ARGV[1]
go_on_without_memory()
redis.call('SET', key('beat', worker), '1', 'PX', ARGV[2])
redis.call('ZREMRANGEBYSCORE', key('workers'), '-inf', now)
redis.call('ZADD', key('workers'), now + ARGV[2], worker)
for index = 3, #ARGV do redis.call('ZADD', key('serves'), now + ARGV[2], ARGV[index]) end

local function paused(backend)
  local breaker = redis.call('HMGET', key('breaker', backend), 'open', 'until')
  return breaker[1] == '1' and tonumber(breaker[2]) > now
end

local function soonest(backend)
  local found = -1
  if not paused(backend) and redis.call('EXISTS', key('park', backend, 'i'), key('park', backend, 'b')) > 0 then return now end
  local function consider(name)
    local first = redis.call('ZRANGE', name, 0, 0, 'WITHSCORES')
    if first[2] and (found < 0 or tonumber(first[2]) < found) then found = tonumber(first[2]) end
  end
  for _, class in ipairs(CLASSES) do consider(key('due', backend, class)) end
  for _, lane in ipairs(LANES) do
    consider(key('park', backend, lane))
  end
  for _, lane in ipairs(LEASES) do consider(key('lease', backend, lane)) end
  return found
end

local out = {now}
for index = 3, #ARGV do
  free_dead_claims(ARGV[index])
  out[#out + 1] = soonest(ARGV[index])
end
return out
