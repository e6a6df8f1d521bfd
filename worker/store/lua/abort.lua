-- Withdraw a cancellation on an operator's word: it finishes as aborted at its next pass, which is at once.
--
-- KEYS[1]  the events stream
-- ARGV     id, by whom, why, who signed it ("" for nobody)
-- Returns  its backend; "" if it has ended already, nil if there is none

go_on_without_memory()
local id, by, why, signed_by = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local guard, progress = load(id)
if not guard then return nil end
if guard.o ~= '' then return '' end
local now = clock()
guard.x, guard.r, guard.m = by .. ': ' .. why, guard.r + 1, now
guard.xa = {by = by, signed_by = signed_by ~= '' and signed_by or nil, reason = why}
hurry(id, guard, now)
save(id, guard, progress)
return guard.b
