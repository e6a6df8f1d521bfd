-- Withdraw a cancellation on an operator's word: it finishes as aborted at its next pass, which is at once.
-- KEYS[1], ARGV and Returns as orders.lua has them.

return on_open(function(guard, now)
  guard.x, guard.m = by .. ': ' .. why, now
  guard.xa = {by = by, signed_by = signed_by, reason = why}
end)
