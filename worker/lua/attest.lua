-- Note somebody's word that the remote process has stopped; it counts for the force gate at once.
--
-- KEYS[1]  the events stream
-- ARGV     id, who and why
-- Returns  its backend; "" if it has ended already, nil if there is none

go_on_without_memory()
local guard, progress = load(ARGV[1])
if not guard then return nil end
if guard.o ~= '' then return '' end
guard.s, guard.r = ARGV[2], guard.r + 1
hurry(ARGV[1], guard, clock())
save(ARGV[1], guard, progress)
return guard.b
