-- Find the batches that need work, and lease each of them to this worker for a while.
--
-- Includes batches
--
-- KEYS[1]  the events stream
-- ARGV     worker, for how long it may work on a batch (ms), the most batches, ids of batches that are left to other workers…
-- Returns  {now (ms), when the next batch needs work (ms, or -1), how many live workers do not know batches; then
--          of each batch for this worker: id, a JSON object with created, cursor, count (how many members may start), sweep
--          (1 if there is one), blind (1 if no member's `expect` counts) and passed (see batches.lua)}
-- Events   progress; finished, for a batch whose parts did not come in time

local worker, lease, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local BLOCKED = 50 -- ms until a batch whose next member may not start yet is looked at again
go_on_without_memory()
local now = clock()
-- An older worker puts off the polls of records that it can't read, so nothing starts while there is one.
local function living(kind) return redis.call('ZCOUNT', key(kind), '(' .. now, '+inf') end
local older = math.max(0, living('workers') - living('feeders'))
local out, left = {now, -1, older}, {}
for index = 4, #ARGV do left[ARGV[index]] = true end

local function is_ours(id)
  local owner = redis.call('GET', key('feeder', id))
  if owner and owner ~= worker then return false end
  lend(id, worker, lease)
  return true
end

local function expire_incomplete(batch)
  batch.by, batch.reason = 'canceller', batch.received .. ' of ' .. batch.parts .. ' parts arrived within a day'
  end_batch(batch, 'incomplete', now)
end

local waits = {} -- batch -> when there is something to do for it

local function offer(batch)
  local count = older == 0 and startable(batch, now) or 0
  if (count > 0 or batch.sweep) and not left[batch.id] and is_ours(batch.id) then
    out[#out + 1] = batch.id
    out[#out + 1] = cjson.encode({created = batch.created, cursor = batch.cursor, count = count, sweep = batch.sweep and 1 or 0,
      blind = batch.options.on_changed == 'apply' and 1 or 0, passed = batch.passed})
  end
  if not batch.sweep and count == 0 then waits[batch.id] = math.max(now + BLOCKED, next_feed(batch, now)) end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('feeding'), '-inf', now, 'LIMIT', 0, most)) do
  local batch, newer = load_batch(id)
  if newer then
    redis.call('ZADD', key('feeding'), now + IDLE, id)
  elseif not batch then
    redis.call('ZREM', key('feeding'), id)
  elseif batch.state == 'receiving' then
    expire_incomplete(batch)
  else
    offer(batch)
  end
end
save_batches(now, function(batch) return waits[batch.id] or next_feed(batch, now) end)
local first = redis.call('ZRANGE', key('feeding'), 0, 0, 'WITHSCORES')
out[2] = tonumber(first[2] or -1)
return out
