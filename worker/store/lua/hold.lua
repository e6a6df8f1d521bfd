-- Hold a cancellation: no changing call begins after its `held` event. A second hold replaces the first.
--
-- Includes operator_action
--
-- KEYS[1], ARGV and Returns as in operator_action.lua, with `for` (ms until it ends by itself, absent for never).
-- Events  held: at once, or at the end of the pass whose call may be in flight

return on_open(function(guard, now)
  if guard.h then lift_hold(guard, now) end
  guard.h = {by = by, reason = why, sg = signed_by, at = now, u = more['for'] and now + more['for'], p = 1}
  acknowledge_hold(id, guard, now)
  if guard.h.p then guard.m = now end -- a pass that calls nothing closes an open intent too
end)
