-- When records are due.
--
-- Includes keys, record

local function unschedule(id, guard)
  for _, class in ipairs(CLASSES) do redis.call('ZREM', key('due', guard.b, class), id) end
  for _, lane in ipairs(LANES) do redis.call('ZREM', key('park', guard.b, lane), id) end
end

-- Schedule a record again: for now, or with `first` before all that has come due meanwhile. A record of a newer format is
-- scheduled, too, for newer workers to claim.
local function requeue(id, now, first)
  local guard, newer = load(id)
  if guard and guard.o == '' then redis.call('ZADD', due_key(guard), first and guard.a or now, id) end
  if not guard and newer then redis.call('ZADD', due_key(newer), now + 60000, id) end
end

-- Make a waiting record due at once. A claimed one stays as it is: its pass will see the new revision.
local function make_due(id, guard, now)
  if redis.call('HEXISTS', key('claims', guard.b), id) == 1 then return end
  local due = tonumber(redis.call('ZSCORE', due_key(guard), id) or now)
  unschedule(id, guard)
  redis.call('ZADD', due_key(guard), math.min(now, due), id)
end
