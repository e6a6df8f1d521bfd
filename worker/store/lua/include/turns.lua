-- Which member of a batch is next: they start in order, except that a backend that stays full holds up only its own members.
--
-- Includes batches
--
-- These are passed: they wait in a list for each backend, and start before the members at the cursor.

local PATIENCE = 500 -- ms for which a backend must have been full before its members are passed
local MOST_PASSED = 100000 -- the most members that may wait because they were passed

local waits = {} -- backend -> how many first passes of its batch lane are waiting and may begin now
local passed = {} -- backend -> indexes of its members that this script passes

local function waiting_on(backend, now)
  if not waits[backend] then
    waits[backend] = redis.call('ZCOUNT', key('due', backend, 'bf'), '-inf', now) + redis.call('ZCARD', key('park', backend, 'b'))
  end
  return waits[backend]
end

-- Note one more first pass.
local function waits_now(backend)
  waits[backend] = (waits[backend] or 0) + 1
end

-- Return whether a backend may get no further member now: enough of its members wait for their first pass, or it has its share
-- of the open ones while members of other backends wait.
local function is_full(batch, backend, rooms, now)
  if rooms[backend] and waiting_on(backend, now) >= rooms[backend] then return true end
  local sum = passed_in(batch)
  local others = (batch.cursor < batch.selected and sum < MOST_PASSED) or sum > (batch.passed[backend] or 0)
  return others and #batch.backends > 1 and (batch.opened[backend] or 0) >= share(batch)
end

-- Pass the member at the cursor if its backend has been full for a while; return nil if it may not be passed.
local function pass(batch, backend, now)
  local since = math.min(batch.full[backend] or now, now)
  batch.full[backend] = since
  local behind = batch.passed[backend] or now - since >= PATIENCE
  if not behind or #batch.backends < 2 or waits_for_canary(batch) or passed_in(batch) >= MOST_PASSED then return nil end
  passed[backend] = passed[backend] or {}
  table.insert(passed[backend], batch.cursor)
  batch.cursor = batch.cursor + 1
  add(batch.passed, backend, 1)
  return 'passed '
end

-- Move on past a member that starts, or with -1 back before it; `of` is its backend if it was passed.
local function move(batch, of, by)
  if of then add(batch.passed, of, -by) else batch.cursor = batch.cursor + by end
end

-- Return whether the members of a step are still those that start next.
local function is_next(batch, step)
  if not step.of then return batch.cursor == step.cursor end
  for number, index in ipairs(redis.call('LRANGE', key('batchpassed', step.id, step.of), 0, #step.indexes - 1)) do
    if tonumber(index) ~= step.indexes[number] then return false end
  end
  return batch.passed[step.of] ~= nil and batch.passed[step.of] >= #step.indexes
end

-- Note what the lists of passed members have lost and gained in a step.
local function note_turns(step, moved)
  for number = 1, step.of and moved or 0 do
    redis.call('LREM', key('batchpassed', step.id, step.of), 1, step.indexes[number]) -- the first one
  end
  for backend, indexes in pairs(passed) do call_many('RPUSH', key('batchpassed', step.id, backend), indexes) end
end
