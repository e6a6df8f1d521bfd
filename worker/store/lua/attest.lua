-- Note an attestation that a remote process has stopped; it counts for the force gate at once.
--
-- Includes operator_action
--
-- KEYS[1], ARGV and Returns as in operator_action.lua, with `child` (job id of the child that it is about, "" for
-- the job itself and its family) and `signing` (1 if it is known who may sign, else 0).
-- Rejected  requester (only others may attest, and this one has asked for the cancellation), unsigned (with signing on,
--           only a signature shows who it is)
-- Events    attested

local child = more.child or ''

local function asked_for_it(guard, name)
  for _, one in ipairs(guard.aa) do
    if one == name then return true end
  end
  return false
end

return on_open(function(guard, now)
  local attestation, name = by .. ': ' .. why, signed_by or by
  if guard.aa then
    if more.signing == 1 and not signed_by then return 'unsigned' end
    if asked_for_it(guard, name) then return 'requester' end
    guard.an = guard.an or {}
    guard.an[child] = name
  end
  local signature = signed_by and {signed_by, now} or nil
  if child == '' then
    guard.s, guard.sa, guard.ss = attestation, now, signature
  else
    guard.sc, guard.scs = guard.sc or {}, guard.scs or {}
    guard.sc[child], guard.scs[child] = {attestation, now}, signature
  end
  local about = child ~= '' and ',"child":' .. quote(child) or ''
  emit(id, guard, 'attested', action('attest', by, signed_by, why) .. about, '', now)
end)
