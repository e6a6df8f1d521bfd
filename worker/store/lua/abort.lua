-- Abort a cancellation: it finishes as aborted at its next pass, which is at once.
--
-- Includes operator_action
--
-- KEYS[1], ARGV and Returns as in operator_action.lua.

return on_open(function(guard, now)
  guard.x, guard.m = by .. ': ' .. why, now
  guard.xa = {by = by, signed_by = signed_by, reason = why}
end)
