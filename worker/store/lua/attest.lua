-- Note an attestation that a remote process has stopped; it counts for the force gate at once.
--
-- Includes operator_action
--
-- KEYS[1], ARGV and Returns as in operator_action.lua, with `child` (job id of the child that it is about, "" for
-- the job itself and its family) and `signing` (1 if signatures are checked, else 0).
-- Rejected  requester (only others may attest, and this one has asked for the cancellation), unsigned (with signing on,
--           only a signature shows who it is)
-- Events    attested

local child = more.child or ''

local MOST_EARLIER = 10 -- earlier attestations that are kept besides the latest

local function asked_for_it(guard, name)
  for _, one in ipairs(guard.aa) do
    if one == name then return true end
  end
  return false
end

-- Keep the attestation that one by `name` replaces: it counts again if `name` joins, which voids theirs. Nobody has two.
local function keep_earlier(guard, name)
  local words, attester = {}, guard.an[child]
  for _, word in ipairs(guard.ao and guard.ao[child] or {}) do
    if word[1] ~= name and word[1] ~= attester then words[#words + 1] = word end
  end
  local given, signature = guard.sc and guard.sc[child], guard.scs and guard.scs[child]
  if child == '' then
    given, signature = guard.s ~= '' and {guard.s, guard.sa or guard.a}, guard.ss
  end
  if attester and attester ~= name and given then
    words[#words + 1] = {attester, given[1], given[2], signature and signature[2] == given[2] and signature[1] or ''}
  end
  if #words > MOST_EARLIER then table.remove(words, 1) end
  if words[1] or guard.ao then
    guard.ao = guard.ao or {}
    guard.ao[child] = words[1] and words
  end
end

return on_open(function(guard, now)
  local attestation, name = by .. ': ' .. why, signed_by or by
  if guard.aa then
    if more.signing == 1 and not signed_by then return 'unsigned' end
    if asked_for_it(guard, name) then return 'requester' end
    guard.an = guard.an or {}
    keep_earlier(guard, name)
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
