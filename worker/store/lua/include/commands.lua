-- Which commands are known, and which were rejected.
--
-- Includes keys
--
-- Command ids are kept in small hashes, by week and shard, so that they stay compact and expire together.

local WEEK = 7 * 86400000
local FARTHEST = 31 -- days for which a command may have to wait for its time, and one more

local hashed, hashed_shard, hashed_field -- the id that was asked for last

local function command_slot(command_id)
  if command_id ~= hashed then
    local digest = redis.sha1hex(command_id)
    hashed, hashed_shard, hashed_field = command_id, string.sub(digest, 1, 4), string.sub(digest, 5, 28)
  end
  return hashed_shard, hashed_field
end

-- Return the digest of a command's content and the id of its cancellation; nil if the command is unknown.
local function recall(command_id, now, days)
  local shard, field = command_slot(command_id)
  for week = math.floor(now / WEEK), math.floor((now - days * 86400000) / WEEK), -1 do
    local value = redis.call('HGET', key('cmd', week, shard), field)
    if value then return string.sub(value, 1, 16), string.sub(value, 17) end
  end
  local value = redis.call('HGET', key('cmd', 'later', shard), field)
  if value then return string.sub(value, 1, 16), string.sub(value, 17) end
  return nil
end

local function remember(command_id, digest, id, now, days, later)
  local shard, field = command_slot(command_id)
  if later then
    local slot = key('cmd', 'later', shard)
    redis.call('HSET', slot, field, digest .. id)
    redis.call('EXPIRE', slot, (FARTHEST + days) * 86400)
    return
  end
  local slot = key('cmd', math.floor(now / WEEK), shard)
  redis.call('HSET', slot, field, digest .. id)
  if redis.call('HLEN', slot) == 1 then redis.call('EXPIRE', slot, (math.ceil(days / 7) + 1) * 7 * 86400) end
end

-- Return the name by which the rejection of a command is remembered; no command id holds a control character.
local function rejection_of(command_id)
  return 'refused\0' .. command_id
end
