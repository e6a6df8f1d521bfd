-- Hold, release or abort the next open members of a batch.
--
-- Includes batches, record, schedule, holds
--
-- KEYS[1]  the events stream
-- ARGV     id of the batch, the most members
-- Returns  {1 if it goes on at once, 0 if a call in flight is waited for or nothing is left; the names of the backends on which
--          something is due now…}
-- Events   held, released; paused, once no call of a held member can be in flight

local SOON = 50 -- ms until the next check whether a call in flight has ended
local most = tonumber(ARGV[2])
go_on_without_memory()
local now = clock()
local batch = load_batch(ARGV[1])
local sweep = batch and batch.sweep
if not sweep then return {0} end

local held_by = {} -- batch -> whether its pause holds what is open

-- Return another batch whose pause also holds a cancellation; nil if there is none.
local function other_holder(id, guard)
  local function is_holder(name)
    if name == batch.id then return false end
    if held_by[name] == nil then
      local value = redis.call('GET', key('batch', name))
      local other = value and cjson.decode(value) or {}
      held_by[name] = other.state == 'paused' and other.hold == 1
    end
    return held_by[name]
  end
  if is_holder(guard.bt[1]) then return guard.bt[1] end
  for _, one in ipairs(guard.bm and redis.call('LRANGE', key('links', id), 0, -1) or {}) do
    local name = string.match(one, '^%d+ (.*)$')
    if is_holder(name) then return name end
  end
  return nil
end

-- Each does one thing to a cancellation's guard, and returns whether it has changed it; nil if it has to be looked at again.
local ACTS = {
  abort = function(_, guard)
    if guard.x ~= '' then return false end
    withdraw(guard, sweep.by, sweep.sg, sweep.reason, now)
    return true
  end,
  hold = function(id, guard)
    if guard.x ~= '' or guard.h and not guard.h.u then return false end
    if guard.h then
      guard.h.u, guard.h.v, guard.h.b = nil, guard.h.u, batch.id -- it must not end before the pause does
      return true
    end
    hold(id, guard, {by = sweep.by, reason = sweep.reason, sg = sweep.sg, at = now, p = 1, b = batch.id}, now)
    return true
  end,
  confirm = function(_, guard)
    if guard.h and guard.h.p then return nil end
    if guard.x ~= '' and guard.i then return nil end -- an aborted one is not held, but a call may be in flight
    return false
  end,
  release = function(id, guard)
    if not guard.h or guard.h.b ~= batch.id then return false end
    guard.h.b = other_holder(id, guard)
    if guard.h.b then return true end
    if guard.h.v and guard.h.v > now then
      guard.h.u, guard.h.v = guard.h.v, nil
      return true
    end
    release_hold(id, guard, now, now, sweep.by, sweep.sg, sweep.reason)
    return true
  end,
}

local touched, waits = {}, false

local function sweep_over(id)
  local readable, guard, progress = pcall(load, id) -- for an unreadable one no call is made; it stops no other
  if not readable or not guard or guard.o ~= '' then return true end
  local changed = ACTS[sweep.act](id, guard)
  if changed then
    guard.r = guard.r + 1
    make_due(id, guard, now)
    save(id, guard, progress)
    touched[guard.b] = true
  end
  return changed ~= nil
end

local members = redis.call('ZRANGEBYSCORE', key('batchopen', batch.id), '(' .. sweep.at, '+inf', 'LIMIT', 0, most)
for _, member in ipairs(members) do
  local index, id = string.match(member, '^(%d+) (.*)$')
  if not sweep_over(id) then
    waits = true
    break
  end
  sweep.at = tonumber(index)
end
if #members == 0 then
  batch.sweep = nil
  if sweep.act == 'hold' then
    batch.sweep = {act = 'confirm', at = -1}
  elseif sweep.act == 'confirm' and batch.state == 'paused' then
    batch.held = 1
    announce_pause(batch, now)
  end
end
save_batches(now, function() return waits and now + SOON or next_feed(batch, now) end)
local names = {waits and 0 or 1}
for name in pairs(touched) do names[#names + 1] = name end
return names
