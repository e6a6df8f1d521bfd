-- Workers' beats: each lets the clock follow Redis's TIME, or absorbs a step of it. See clock.lua.

local DRIFT = 0.001 -- added to SLACK, as a share of the time since the last beat
local PATIENCE = 3000 -- ms for which a worker that knows no time yet waits for another that does

-- Return whether no name other than `name` has a beat that ends after a time; `beats` is a zset: name -> when its beat ends.
local function alone(beats, name, at)
  local own = tonumber(redis.call('ZSCORE', beats, name) or 0) > at and 1 or 0
  return redis.call('ZCOUNT', beats, '(' .. at, '+inf') == own
end

-- Note a beat of `name`, which knows that at least `passed` ms have passed since the time was `known`. With -1 as `known`
-- it knows no time yet, and has waited `passed` ms for another that does. `idle()`, if given, returns whether nothing is
-- under way that a jump ahead could harm.
-- Returns the time (ms), and by how much TIME was stepped (ms, 0 for not at all; nil while only another can know).
local function observe(clock, beats, name, known, passed, idle)
  local raw, state = redis_time(), redis.call('HMGET', clock, 'o', 't')
  local offset, last = tonumber(state[1]) or 0, tonumber(state[2])
  local now, step = math.max(last or 0, raw + offset), 0
  local least = last or now
  if known >= 0 then least = math.max(last or 0, known + passed) end
  local differs = raw + offset - least
  if math.abs(differs) > SLACK + math.max(passed, 0) * DRIFT then
    if known >= 0 then
      now, step = least, differs
    elseif passed >= PATIENCE or alone(beats, name, last) then
      now = math.max(last, raw) -- nobody measured what has passed, so nothing disproves TIME
    else
      return last, nil
    end
    offset = now - raw
  elseif offset < -SLACK and idle and idle() then
    now, offset = math.max(last or 0, raw), 0
  elseif offset > 0 and last then
    -- Ahead of TIME the clock runs a tenth slower until both agree. It never runs faster: nothing may come early.
    offset = math.max(0, offset - math.floor((now - last) / 10))
  end
  redis.call('HSET', clock, 'o', offset, 't', now)
  return now, step
end
