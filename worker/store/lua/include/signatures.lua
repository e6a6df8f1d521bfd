-- Which signatures were used, and how many commands each producer has sent.
--
-- Includes keys, commands
--
-- A signature is remembered while its token could still be valid: an hour at most, and an hour for lagging clocks.

local function signature_slot(mark, now, back)
  local shard, field = command_slot(mark)
  return key('signed', math.floor(now / 3600000) - back, shard), field
end

-- Return what used a signature, or nil.
local function user_of(mark, now)
  for back = 0, 2 do
    local slot, field = signature_slot(mark, now, back)
    local user = redis.call('HGET', slot, field)
    if user then return user end
  end
  return nil
end

local function note_use(mark, user, now)
  local slot, field = signature_slot(mark, now, 0)
  redis.call('HSET', slot, field, user)
  redis.call('EXPIRE', slot, 3 * 3600)
end

-- Count one more command of a producer; return whether its commands per minute allow that (0: any number).
local function is_within_rate(producer, per_minute, now)
  if per_minute == 0 then return true end
  local slot = key('minute', math.floor(now / 60000))
  local count = redis.call('HINCRBY', slot, producer, 1)
  redis.call('EXPIRE', slot, 120)
  return count <= per_minute
end
