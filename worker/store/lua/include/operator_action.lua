-- The arguments and the frame that all operators' actions share.
--
-- Includes record, schedule, commands, holds
--
-- KEYS[1]  the events stream
-- ARGV     id, by whom, why, who signed it ("" for nobody), id of the message that carried it ("" for none), for how many
--          days that id is remembered, further arguments of the action (a JSON object)
-- Returns  {its backend, "" or why the action was rejected: `ended OUTCOME`, or a word of the script}; nil if there is no such
--          cancellation. A redelivered message changes nothing and is not rejected.

local id, by, why = ARGV[1], ARGV[2], ARGV[3]
local signed_by = ARGV[4] ~= '' and ARGV[4] or nil
local message, days, more = ARGV[5], tonumber(ARGV[6]), cjson.decode(ARGV[7])

-- Act on an open cancellation: `act` gets its guard and the time. If it rejects the action, it returns why and has changed
-- nothing.
local function on_open(act)
  go_on_without_memory()
  local guard, progress = load(id)
  if not guard then return nil end
  local now, mark = clock(), 'order ' .. message
  if message ~= '' and recall(mark, now, days) then return {guard.b, ''} end
  if guard.o ~= '' then return {guard.b, 'ended ' .. guard.o} end
  if hold_ran_out(id, guard, now) then save(id, guard, progress) end
  local reason = act(guard, now)
  if reason then return {guard.b, reason} end
  if message ~= '' then remember(mark, '0000000000000000', id, now, days) end
  guard.r = guard.r + 1
  make_due(id, guard, now)
  save(id, guard, progress)
  return {guard.b, ''}
end
