-- Claim jobs of one backend that are due for a look after the end of their cancellations.
--
-- Includes record, breaker
--
-- KEYS[1]  the events stream
-- ARGV     backend, the most jobs to claim, lease (ms), the most calls in flight over all workers, rate: calls per second,
--          0 for no limit
-- Returns  {now (ms), when a look is due next (ms, or -1); then id, hot value, cold value of each cancellation}
--
-- A claim moves the next look to the end of the lease, so a dead worker's looks come due again by themselves. It holds one of
-- the backend's permits, in the batch lane. Looks after the end delay nothing that is open: of the calls that the rate allows
-- they get those that are left over, and one in SHARE while there are none, so that they are made in the end.

local backend, most, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local most_in_flight, rate = tonumber(ARGV[4]), tonumber(ARGV[5])
local now, watch = clock(), key('watch', backend)
local SHARE = 20

local function next_due()
  local first = redis.call('ZRANGE', watch, 0, 0, 'WITHSCORES')
  return tonumber(first[2] or -1)
end

local function calls_left()
  if rate <= 0 then return math.huge end
  local state = redis.call('HMGET', key('limit', backend), 'tokens', 'at')
  local burst = math.max(1, rate / 10)
  return math.min(burst, (tonumber(state[1]) or burst) + math.max(0, now - (tonumber(state[2]) or now)) * rate / 1000)
end

-- How many open cancellations wait for a call. Those that were parked in a pause are scheduled again step by step.
local function waiting()
  local count = 0
  for _, class in ipairs(CLASSES) do count = count + redis.call('ZCOUNT', key('due', backend, class), '-inf', now) end
  for _, lane in ipairs(LANES) do count = count + redis.call('ZCARD', key('park', backend, lane)) end
  return count
end

-- How many of these calls are left for looks. The time of the last look is kept with the calls that are left.
local function spare(left)
  local ahead = rate > 0 and waiting() or 0
  if ahead == 0 then return left end
  local last = tonumber(redis.call('HGET', key('limit', backend), 'looked') or now)
  if last > now then last = now end -- the clock was stepped back
  redis.call('HSET', key('limit', backend), 'looked', last)
  return math.max(left - ahead, now - last >= SHARE * 1000 / rate and math.min(left, 1) or 0)
end

-- How many looks may begin now. Once a pause is over, one of them may be the call that probes the backend.
local function permits(breaker)
  local batch = redis.call('ZCARD', key('lease', backend, 'b'))
  local flying = redis.call('ZCARD', key('lease', backend, 'i')) + batch
  local allowed = breaker.open and 1 or math.min(most_in_flight, breaker.ramp or most_in_flight)
  return math.min(most, allowed - flying, math.max(1, math.floor(most_in_flight * 3 / 4)) - batch)
end

go_on_without_memory()
local out = {now, 0}
local breaker = breaker_of(backend)
if not is_paused(breaker, now) then
  local left = calls_left()
  local free = math.floor(math.min(permits(breaker), spare(left)))
  local taken = 0
  if free > 0 then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', watch, '-inf', now, 'LIMIT', 0, free)) do
      local hot, cold = unpack(redis.call('MGET', key('hot', id), key('cold', id)))
      if hot then
        redis.call('ZADD', watch, now + lease, id)
        redis.call('ZADD', key('lease', backend, 'b'), now + lease, id)
        taken = taken + 1
        out[#out + 1], out[#out + 2], out[#out + 3] = id, hot, cold or ''
      else
        redis.call('ZREM', watch, id) -- past its retention
      end
    end
  end
  if rate > 0 and taken > 0 then
    redis.call('HSET', key('limit', backend), 'tokens', left - taken, 'at', now, 'looked', now)
  end
end
out[2] = next_due()
return out
