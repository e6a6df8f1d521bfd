-- Note somebody's word that a remote process has stopped; it counts for the force gate at once.
-- KEYS[1], ARGV and Returns as orders.lua has them, with `child` (job id of the child that it is about, "" for the job
-- itself and its family) and `signing` (1 where it is known who may sign, else 0).
-- What is wrong: requester (only another may attest, and this one has asked for the cancellation), unsigned (where
-- signing is on, only a signature tells one from another)
-- Events   attested

local child = more.child or ''

local function asked_for_it(guard, name)
  for _, one in ipairs(guard.aa) do
    if one == name then return true end
  end
  return false
end

return on_open(function(guard, now)
  local word, name = by .. ': ' .. why, signed_by or by
  if guard.aa then
    if more.signing == 1 and not signed_by then return 'unsigned' end
    if asked_for_it(guard, name) then return 'requester' end
    guard.an = guard.an or {}
    guard.an[child] = name
  end
  local signature = signed_by and {signed_by, now} or nil
  if child == '' then
    guard.s, guard.sa, guard.ss = word, now, signature
  else
    guard.sc, guard.scs = guard.sc or {}, guard.scs or {}
    guard.sc[child], guard.scs[child] = {word, now}, signature
  end
  local about = child ~= '' and ',"child":' .. quote(child) or ''
  emit(id, guard, 'attested', action('attest', by, signed_by, why) .. about, '', now)
end)
