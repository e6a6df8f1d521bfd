-- One worker's beat: note that it is alive and which backends it serves, free what dead workers had claimed, return what is
-- due next.
--
-- Includes observe, dead_claims, breaker
--
-- KEYS[1]  the events stream
-- ARGV     worker, life of a beat (ms), what it knows of the time: two numbers, see observe.lua; backends…
-- Returns  {now (ms), by how much Redis's clock was stepped (ms, or `?` while that is not known),
--          when there is something to do for a batch (ms, or -1), how many other workers are alive,
--          next due of each backend (ms, or -1)…}

local worker = ARGV[1]
go_on_without_memory()

local function idle()
  for _, backend in ipairs(redis.call('SMEMBERS', key('backends'))) do
    if redis.call('EXISTS', key('open', backend)) == 1 then return false end
  end
  return true
end

local now, step = observe(key('clock'), key('workers'), worker, tonumber(ARGV[3]), tonumber(ARGV[4]), idle)
for _, name in ipairs({'workers', 'feeders'}) do
  if step then redis.call('ZREMRANGEBYSCORE', key(name), '-inf', now) end
  redis.call('ZADD', key(name), now + ARGV[2], worker)
end
for index = 5, #ARGV do redis.call('ZADD', key('serves'), now + ARGV[2], ARGV[index]) end

local function soonest(backend)
  local found = -1
  local is_parked = redis.call('EXISTS', key('park', backend, 'i'), key('park', backend, 'b')) > 0
  if is_parked and not is_paused(breaker_of(backend), now) then return now end
  local function consider(name)
    local first = redis.call('ZRANGE', name, 0, 0, 'WITHSCORES')
    if first[2] and (found < 0 or tonumber(first[2]) < found) then found = tonumber(first[2]) end
  end
  for _, class in ipairs(CLASSES) do consider(key('due', backend, class)) end
  for _, lane in ipairs(LANES) do consider(key('park', backend, lane)) end
  for _, lane in ipairs(LEASES) do consider(key('lease', backend, lane)) end
  return found
end

local fed = redis.call('ZRANGE', key('feeding'), 0, 0, 'WITHSCORES')
local others = redis.call('ZCOUNT', key('workers'), '(' .. now, '+inf') - 1
local out = {now, step or '?', tonumber(fed[2] or -1), others}
for index = 5, #ARGV do
  if step then free_dead_claims(ARGV[index]) end
  out[#out + 1] = soonest(ARGV[index])
end
return out
