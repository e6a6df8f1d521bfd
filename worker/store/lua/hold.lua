-- Hold a cancellation: no changing call begins after its `held` event. A second hold replaces the first.
-- KEYS[1], ARGV and Returns as orders.lua has them, with `for` (ms until it ends by itself, absent for never).
-- Events   held: at once, or with the end of the pass whose call may be in flight

return on_open(function(guard, now)
  if guard.h then lift_hold(guard, now) end
  guard.h = {by = by, reason = why, sg = signed_by, at = now, u = more['for'] and now + more['for'], p = 1}
  acknowledge_hold(id, guard, now)
  if guard.h.p then guard.m = now end -- also a pass that calls nothing ends what an intent has left open
end)
