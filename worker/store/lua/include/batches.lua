-- Batches: their state, their counters, their events, and the links from cancellations to them.
--
-- Includes many, events
--
-- Events  canceller.batch.started.v1, progress, paused, resumed, finished
--
-- A batch is a JSON object under :batch:ID. Times are in ms.
--   f          format
--   state      as in protocol/batches.py
--   options    rate, canary, stop_at, max_open, on_changed
--   cap        the most member starts a second that the producer who signed it may ask for; absent for no limit
--   parts received selected dry   how many parts it has, how many are there, with how many members, how many dry runs
--   cursor     the next member to start has this index; all before it have started or were passed
--   passed     how many members were passed, and wait for room on their backend, by backend
--   opened     how many members are open, by backend
--   full       since when a backend has had no room for a member, by backend
--   open rejected finished        counters; the last by outcome
--   window     the latest ends, a letter each: x for a failure
--   proven     how many canary members have ended
--   failed     one of them failed: 1 if the batch was paused for that; else the reason, for a pause when it is resumed
--   waived     1: the rest starts although one of them failed
--   by reason hold held           of a pause or an abort; hold is 1 if it holds what is open, held once all of that is held
--   sweep      what is being done to all open members: act, at (index of the last one), by, reason, sg
--   cut        the first member that an abort has kept from starting
--   tokens at  member starts that the rate allowed, and when that was
--   q told news   sequence of its latest event; when the latest `progress` was emitted; 1: counters have changed since
--   created started ended keep    when; for how long it is kept after its end (s)
--   backends   the names of the first few backends that its members name

local BATCH_FORMAT = 1
local DAY = 86400000
local WINDOW, ENOUGH = 100, 20 -- failures are counted among the latest WINDOW ends, once there are ENOUGH ends
local FAILURES = {refused = true, timed_out = true, rejected = true}
local ROUNDING = 1e-6 -- 0.29 * 100 is a little less than 29
local IDLE = 60000 -- ms until a batch that waits for something else is looked at again
local TELL = 1000 -- ms between two `progress` events

local batches, batch_order = {}, {} -- those that this script has read
local lines, opened, closed = {}, {}, {} -- by batch: what is written at the end

-- Return a batch, nil for an unknown one, and whether a newer version has written it.
local function load_batch(id)
  if batches[id] then return batches[id] end
  local value = redis.call('GET', key('batch', id))
  if not value then return nil end
  local batch = cjson.decode(value)
  if batch.f > BATCH_FORMAT then return nil, true end
  batch.id = id
  for _, by_backend in ipairs({'passed', 'opened', 'full'}) do batch[by_backend] = batch[by_backend] or {} end
  batches[id] = batch
  batch_order[#batch_order + 1] = id
  lines[id], opened[id], closed[id] = {}, {}, {}
  return batch
end

local function passed_in(batch)
  local sum = 0
  for _, count in pairs(batch.passed) do sum = sum + count end
  return sum
end

local function waiting(batch)
  return batch.selected - batch.cursor + passed_in(batch)
end

-- Add to a counter by backend; a counter of zero is removed.
local function add(counters, backend, count)
  local sum = (counters[backend] or 0) + count
  counters[backend] = sum > 0 and sum or nil
end

local function is_final(batch)
  return batch.state == 'finished' or batch.state == 'incomplete'
end

local function counts(batch)
  return '"counts":{"selected":' .. batch.selected .. ',"waiting":' .. waiting(batch) .. ',"open":' .. batch.open
    .. ',"rejected":' .. batch.rejected .. ',"finished":' .. cjson.encode(batch.finished) .. '}'
end

local function batch_event(batch, name, now, more)
  batch.q = batch.q + 1
  append_event('{"specversion":"1.0","id":' .. quote(batch.id .. '-' .. batch.q) .. ',"source":' .. source('batches')
    .. ',"type":"canceller.batch.' .. name .. '.v1","subject":' .. quote(batch.id) .. ',"time":"' .. time_of(now)
    .. '","datacontenttype":"application/json","sequence":"' .. string.format('%010d', batch.q)
    .. '","sequencetype":"Integer","data":{"batch_id":' .. quote(batch.id) .. ',"state":"' .. batch.state .. '",'
    .. (more or '') .. counts(batch) .. '}}')
end

-- Return who paused, resumed or aborted a batch and why, as the inside of a JSON object.
local function whose(batch)
  if not batch.by then return '' end
  local verified = batch.sg and ',"signed_by":' .. quote(batch.sg) or ''
  return '"by":' .. quote(batch.by) .. verified .. ',"reason":' .. quote(batch.reason) .. ','
end

local function tell_progress(batch, now)
  batch.told, batch.news = now, nil
  batch_event(batch, 'progress', now)
end

local function announce_pause(batch, now)
  batch_event(batch, 'paused', now, whose(batch) .. '"hold":' .. (batch.hold and 'true' or 'false') .. ',')
end

-- Pause a running batch that has members left to start; return whether it was paused.
local function pause_by_itself(batch, reason, now)
  if batch.state ~= 'running' or waiting(batch) == 0 then return false end
  batch.state, batch.by, batch.sg, batch.reason = 'paused', 'canceller', nil, reason
  announce_pause(batch, now)
  return true
end

-- Judge the latest ends: pause once the canary has failed, or once too many members have.
local function judge(batch, index, outcome, failed, now)
  local canary = batch.options.canary or 0
  batch.window = string.sub(batch.window .. (failed and 'x' or '.'), -WINDOW)
  if index < canary then
    batch.proven = batch.proven + 1
    if failed and not batch.waived then
      local reason = 'canary: member ' .. index .. ' ended as ' .. outcome .. '; the rest has not started'
      batch.failed = pause_by_itself(batch, reason, now) and 1 or batch.failed or reason
    end
  end
  local _, failures = string.gsub(batch.window, 'x', '')
  local limit, ends = batch.options.stop_at, #batch.window
  if limit and ends >= ENOUGH and failures > limit * ends + ROUNDING then
    pause_by_itself(batch, 'stop_at: ' .. failures .. ' of the last ' .. ends .. ' ends were failures, more than '
      .. string.format('%.4g', limit * 100) .. '%', now)
  end
end

-- Count the end of a member that is not counted as open. `line` is its result: o(utcome), and what else `result_of` returns.
local function count_end(batch, index, line, now)
  if line.o == 'rejected' then
    batch.rejected = batch.rejected + 1
  else
    batch.finished[line.o] = (batch.finished[line.o] or 0) + 1
  end
  batch.news = 1
  table.insert(lines[batch.id], index)
  table.insert(lines[batch.id], cjson.encode(line))
  judge(batch, index, line.o, FAILURES[line.o], now)
end

-- Return a member's result from the end of its cancellation: `data` is that of the `finished` event.
local function result_of(id, outcome, data)
  local plan = data.plan
  if plan and #plan.children == 0 then plan.children = nil end -- an empty list would become an object
  return {o = outcome, c = id, e = data.evidence, s = data.safe_to_rerun, d = data.detail, j = data.job_state,
    r = data.raw_state, p = plan}
end

-- Link an open cancellation to a member: the guard's `bt` is the first link, all others are in a list.
local function link(id, guard, batch, index)
  if guard.bt then
    redis.call('RPUSH', key('links', id), index .. ' ' .. batch.id)
    guard.bm = 1
  else
    guard.bt = {batch.id, index}
  end
  batch.open, batch.news = batch.open + 1, 1
  add(batch.opened, guard.b, 1)
  table.insert(opened[batch.id], index)
  table.insert(opened[batch.id], index .. ' ' .. id)
end

-- Count the end of a cancellation in each member that is linked to it; there is one at least. `extra` is the inside of its `finished` event's data.
local function end_links(id, guard, extra, now)
  local line = result_of(id, guard.o, cjson.decode('{' .. extra .. '}'))
  local function end_member(batch_id, index)
    local batch = load_batch(batch_id)
    if not batch then return end
    batch.open = batch.open - 1
    add(batch.opened, guard.b, -1)
    table.insert(closed[batch_id], index .. ' ' .. id)
    count_end(batch, index, line, now)
  end
  end_member(guard.bt[1], guard.bt[2])
  if not guard.bm then return end
  for _, one in ipairs(redis.call('LRANGE', key('links', id), 0, -1)) do
    local index, batch_id = string.match(one, '^(%d+) (.*)$')
    end_member(batch_id, tonumber(index))
  end
  redis.call('DEL', key('links', id))
end

local BATCH_KEYS = {'batch', 'batchparts', 'batchsizes', 'batchends'}

local function expire_batch(batch)
  for _, kind in ipairs(BATCH_KEYS) do redis.call('EXPIRE', key(kind, batch.id), batch.keep) end
  redis.call('DEL', key('batchopen', batch.id))
  redis.call('ZREM', key('feeding'), batch.id)
end

local function end_batch(batch, state, now)
  local none_yet = batch.told == batch.started
  if none_yet or now - batch.told >= TELL then tell_progress(batch, now) end -- else only `finished` has the last counts
  if batch.state == 'paused' then -- the reason for the pause is not the reason for the end
    batch.by, batch.reason, batch.sg, batch.hold, batch.held = nil, nil, nil, nil, nil
  end
  batch.state, batch.ended, batch.sweep = state, now, nil
  if batch.dry == batch.selected then batch.keep = math.min(batch.keep, DAY / 1000) end
  batch_event(batch, 'finished', now, whose(batch))
end

-- Return when there is something to do for a batch that has not ended.
local function next_feed(batch, now)
  if batch.state == 'receiving' then return batch.created + DAY end
  if batch.sweep or (batch.state == 'running' and waiting(batch) > 0) then return now end
  return batch.news and batch.told + TELL or now + IDLE
end

-- Write the batches that this script has changed; `feed_at`, if given, returns when there is something to do for one.
local function save_batches(now, feed_at)
  for _, id in ipairs(batch_order) do
    local batch = batches[id]
    local live = not is_final(batch)
    if live and batch.state ~= 'receiving' then
      if waiting(batch) == 0 and batch.open == 0 then
        end_batch(batch, 'finished', now)
      elseif batch.news and now - batch.told >= TELL then
        tell_progress(batch, now)
      end
    end
    call_many('HSET', key('batchends', id), lines[id])
    call_many('ZADD', key('batchopen', id), opened[id])
    call_many('ZREM', key('batchopen', id), closed[id])
    batch.id = nil
    redis.call('SET', key('batch', id), cjson.encode(batch), 'KEEPTTL')
    batch.id = id
    if is_final(batch) then
      expire_batch(batch)
    else
      redis.call('ZADD', key('feeding'), (feed_at or next_feed)(batch, now), id)
    end
  end
end

-- Lease a batch to one worker for a while. That only saves duplicate work: its cursor makes sure that each member starts once.
local function lend(id, worker, lease)
  redis.call('SET', key('feeder', id), worker, 'PX', lease)
end

-- Return whether the canary still holds up the rest.
local function waits_for_canary(batch)
  return not batch.waived and batch.proven < math.min(batch.options.canary or 0, batch.selected)
end

-- Return how many members of one backend may be open while members of others wait.
local function share(batch)
  return math.max(1, math.floor((batch.options.max_open or 1000) / math.max(1, #batch.backends)))
end

-- Return how many members may start now. Tokens are refilled up to those of one second.
local function startable(batch, now)
  if batch.state ~= 'running' then return 0 end
  local count = math.min(waiting(batch), (batch.options.max_open or 1000) - batch.open)
  if waits_for_canary(batch) then count = math.min(count, math.min(batch.options.canary, batch.selected) - batch.cursor) end
  local rate = math.min(batch.options.rate or math.huge, batch.cap or math.huge)
  if rate < math.huge then
    local since = math.max(0, now - batch.at)
    batch.tokens, batch.at = math.min(math.max(1, rate), batch.tokens + since * rate / 1000), now
    count = math.min(count, math.floor(batch.tokens))
  end
  return math.max(0, count)
end
