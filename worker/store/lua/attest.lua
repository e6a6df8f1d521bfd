-- Note somebody's word that a remote process has stopped; it counts for the force gate at once.
--
-- KEYS[1]  the events stream
-- ARGV     id, by whom, why, job id of the child that it is about ("" for the job itself and its family), id of the
--          message that brought it ("" for none), for how many days that is remembered, who signed it ("" for nobody)
-- Returns  its backend, also where the message had brought it before; "" if it has ended already, nil if there is none
-- Events   attested

go_on_without_memory()
local id, by, why, child, message, days = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local signed_by = ARGV[7]
local now = clock()
local guard, progress = load(id)
if not guard then return nil end
if guard.o ~= '' then return '' end
if message ~= '' then
  -- A message that comes again must not renew a word that was refuted since.
  local mark = 'order ' .. message
  if recall(mark, now, days) then return guard.b end
  remember(mark, '0000000000000000', id, now, days)
end
local word = by .. ': ' .. why
local signature = signed_by ~= '' and {signed_by, now} or nil
if child == '' then
  guard.s, guard.sa, guard.ss = word, now, signature
else
  guard.sc, guard.scs = guard.sc or {}, guard.scs or {}
  guard.sc[child], guard.scs[child] = {word, now}, signature
end
guard.r = guard.r + 1
hurry(id, guard, now)
local about = child ~= '' and ',"child":' .. quote(child) or ''
local verified = signed_by ~= '' and ',"signed_by":' .. quote(signed_by) or ''
emit(id, guard, 'attested', '"action":{"name":"attest","by":' .. quote(by) .. verified .. ',"reason":' .. quote(why) .. '}' .. about, '', now)
save(id, guard, progress)
return guard.b
