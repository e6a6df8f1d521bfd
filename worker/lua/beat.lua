-- One worker's beat: say that it lives, give back what dead workers had claimed, tell what is due next.
--
-- KEYS[1]  the events stream
-- ARGV     worker, life of a beat (ms), what it knows of the time: two numbers, see `observe` in clock.lua; backends…
-- Returns  {now (ms), by how much Redis's clock was stepped (ms, or `?` while that can't be told),
--          next due of each backend (ms, or -1)…}
-- A dead worker's claim comes back at once, before all that came due since, but for an open intent: that call may
-- still be on its way, so it keeps its whole lease, though no longer one of the backend's permits.

local worker = ARGV[1]
go_on_without_memory()

local function idle()
  for _, backend in ipairs(redis.call('SMEMBERS', key('backends'))) do
    if redis.call('EXISTS', key('open', backend)) == 1 then return false end
  end
  return true
end

local now, step = observe(key('clock'), key('workers'), worker, tonumber(ARGV[3]), tonumber(ARGV[4]), idle)
if step then redis.call('ZREMRANGEBYSCORE', key('workers'), '-inf', now) end
redis.call('ZADD', key('workers'), now + ARGV[2], worker)

local alive = {}
local function lives(name)
  if alive[name] == nil then alive[name] = redis.call('ZSCORE', key('workers'), name) ~= false end
  return alive[name]
end

local function free_dead_claims(backend)
  local claims = redis.call('HGETALL', key('claims', backend))
  for index = 1, #claims, 2 do
    local id, owner = claims[index], string.match(claims[index + 1], '^(.-)/')
    if not lives(owner) then
      local guard = load(id)
      if guard and not guard.i then
        release(id, guard)
        redis.call('ZADD', due_key(guard), guard.a, id)
      elseif guard then
        for _, lane in ipairs(LANES) do
          local ends = redis.call('ZSCORE', key('lease', backend, lane), id)
          if ends then
            redis.call('ZREM', key('lease', backend, lane), id)
            redis.call('ZADD', key('lease', backend, 'x'), ends, id)
          end
        end
      end
    end
  end
end

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

local out = {now, step or '?'}
for index = 5, #ARGV do
  if step then free_dead_claims(ARGV[index]) end
  out[#out + 1] = soonest(ARGV[index])
end
return out
