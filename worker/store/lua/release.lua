-- Release a cancellation that is held: it goes on at once, with all the time that it had left.
-- KEYS[1], ARGV and Returns as orders.lua has them.
-- What is wrong: not_held
-- Events   released

return on_open(function(guard, now)
  if not guard.h then return 'not_held' end
  release_hold(id, guard, now, now, by, signed_by, why)
end)
