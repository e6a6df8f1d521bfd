-- The breaker of each backend: after failures in a row it opens, and the backend is paused. When the pause is over it is
-- half open, and one call probes the backend. A success closes it, and `ramp` then lets calls in flight grow one by one.
--
-- Includes keys

local function breaker_of(backend)
  local state = redis.call('HMGET', key('breaker', backend), 'open', 'until', 'ramp')
  return {open = state[1] == '1', ends = tonumber(state[2]), ramp = tonumber(state[3])}
end

local function is_paused(breaker, now)
  return breaker.open and breaker.ends > now
end
