-- Hold a cancellation: no changing call begins after its `held` event. A second hold replaces the first.
--
-- Includes operator_action
--
-- KEYS[1], ARGV and Returns as in operator_action.lua, with `for` (ms until it ends by itself, absent for never).
-- Events  held: at once, or at the end of the pass whose call may be in flight

return on_open(function(guard, now)
  hold(id, guard, {by = by, reason = why, sg = signed_by, at = now, u = more['for'] and now + more['for'], p = 1}, now)
end)
