-- Abort a cancellation: it finishes as aborted at its next pass, which is at once.
--
-- Includes operator_action
--
-- KEYS[1], ARGV and Returns as in operator_action.lua.

return on_open(function(guard, now)
  withdraw(guard, by, signed_by, why, now)
end)
