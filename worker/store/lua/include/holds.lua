-- Operators' holds and aborts, and the part of an event that names an operator's action.
--
-- Includes record, events
--
-- A hold is the guard's `h`: by, reason, sg (who signed it, absent for nobody), at (since when, ms), u (until when, ms;
-- absent for one without an end of its own), p (1: its `held` event is put off while a call may be in flight), b (the batch
-- whose pause holds it, absent for any other), v (what `u` would be, while b's pause is longer).

local function action(name, by, signed_by, reason)
  local verified = signed_by and ',"signed_by":' .. quote(signed_by) or ''
  return '"action":{"name":"' .. name .. '","by":' .. quote(by) .. verified .. ',"reason":' .. quote(reason) .. '}'
end

local function announce_hold(id, guard, now, cold)
  local hold = guard.h
  hold.p = nil
  local at = hold.u or hold.v
  local ends = at and ',"until":"' .. iso(at) .. '"' or ''
  emit(id, guard, 'held', action('hold', hold.by, hold.sg, hold.reason) .. ends, '', now, cold)
end

-- Announce a hold, unless that was done or a call may still be in flight: no call begins after the event.
local function acknowledge_hold(id, guard, now, cold)
  if guard.h and guard.h.p and not guard.i then announce_hold(id, guard, now, cold) end
end

-- Lift a hold: deadlines move by the time that it lasted, except one that had passed before it began.
local function lift_hold(guard, at)
  local hold, deadline = guard.h, guard.g
  local stood = math.max(0, at - math.max(hold.at, guard.nb or 0))
  if hold.at < deadline then guard.g = deadline + stood end
  if guard.m >= deadline then guard.m = guard.g end
  guard.hs = (guard.hs or 0) + stood
  guard.h, guard.r = nil, guard.r + 1
end

-- Hold a cancellation; an earlier hold ends.
local function hold(id, guard, terms, now)
  if guard.h and guard.h.b and terms.u and not terms.b then
    terms.b, terms.u, terms.v = guard.h.b, nil, terms.u -- it must not end before the batch's pause does
  end
  if guard.h then lift_hold(guard, now) end
  guard.h = terms
  acknowledge_hold(id, guard, now)
  if guard.h.p then guard.m = now end -- a pass that calls nothing closes an open intent too
end

-- Abort a cancellation: its next pass finishes it.
local function withdraw(guard, by, signed_by, reason, now)
  guard.x, guard.m = by .. ': ' .. reason, now
  guard.xa = {by = by, signed_by = signed_by, reason = reason}
end

-- Release a cancellation, with an event that names who did it.
local function release_hold(id, guard, at, now, by, signed_by, reason)
  if guard.h.p then announce_hold(id, guard, now) end
  lift_hold(guard, at)
  emit(id, guard, 'released', action('release', by, signed_by, reason), '', now)
end

-- End a hold whose time is over; return whether it ended.
local function hold_ran_out(id, guard, now)
  local hold = guard.h
  if not hold or not hold.u or hold.u > now then return false end
  release_hold(id, guard, hold.u, now, 'canceller', nil, 'the time of the hold by ' .. hold.by .. ' is over')
  return true
end
