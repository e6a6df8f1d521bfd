-- Withdraw a cancellation on an operator's word: it finishes as aborted at its next pass, which is at once.
--
-- KEYS[1]  the events stream
-- ARGV     id, who and why
-- Returns  its backend; "" if it has ended already, nil if there is none

go_on_without_memory()
local guard, progress = load(ARGV[1])
if not guard then return nil end
if guard.o ~= '' then return '' end
local now = clock()
guard.x, guard.r, guard.m = ARGV[2], guard.r + 1, now
hurry(ARGV[1], guard, now)
save(ARGV[1], guard, progress)
return guard.b
