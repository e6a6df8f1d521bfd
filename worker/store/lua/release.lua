-- Release a held cancellation: it goes on at once, with all the time that it had left.
--
-- Includes operator_action
--
-- KEYS[1], ARGV and Returns as in operator_action.lua.
-- Rejected  not_held
-- Events    released

return on_open(function(guard, now)
  if not guard.h then return 'not_held' end
  release_hold(id, guard, now, now, by, signed_by, why)
end)
