-- While a backend is paused, its records are parked: they wait until something must happen even without a call.
--
-- Includes keys, record, schedule

local RETURN_AT_ONCE = 50 -- parked records that are scheduled again per claim once the backend answers

-- Park what is due until something must happen even without a call. What this worker can't read is scheduled for later.
local function park_due(backend, now)
  for _, class in ipairs(CLASSES) do
    local due = key('due', backend, class)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 100)) do
      local readable, guard, newer = pcall(load, id)
      redis.call('ZREM', due, id)
      if not readable or (not guard and newer) then
        redis.call('ZADD', due, now + 60000, id)
      elseif guard and guard.o == '' then
        redis.call('ZADD', key('park', backend, guard.l), math.min(guard.m, guard.h and guard.h.u or guard.m), id)
      end
    end
  end
end

-- Schedule some parked records again, the interactive ones first; return whether any are left.
local function unpark(backend, now)
  local left = RETURN_AT_ONCE
  for _, lane in ipairs(LANES) do
    if left > 0 then
      for _, id in ipairs(redis.call('ZRANGE', key('park', backend, lane), 0, left - 1)) do
        redis.call('ZREM', key('park', backend, lane), id)
        requeue(id, now)
        left = left - 1
      end
    end
  end
  return redis.call('EXISTS', key('park', backend, 'i'), key('park', backend, 'b')) > 0
end
