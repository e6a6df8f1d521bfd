-- Joins a command to the open cancellation of its job.
--
-- Includes command_arguments, record, schedule, events

local STRICTNESS = {auto = 0, attested = 1, never = 2}
local MOST_EXPECTED = 20 -- states that the commands of one cancellation may expect; beyond that any state will do

-- Return the fixed fields of an event with more sinks in their `reply_to`, which is the last of them.
local function with_sinks(fixed, names)
  local rest, known = string.match(fixed, '^(.*),"reply_to":(%[[^%]]*%])$')
  local all, has = known and cjson.decode(known) or {}, {}
  for _, name in ipairs(all) do has[name] = true end
  for _, name in ipairs(names) do
    if not has[name] then all[#all + 1] = name end
  end
  return (rest or fixed) .. ',"reply_to":' .. cjson.encode(all)
end

local function append_id(id, command_id, sinks)
  local cold = redis.call('GET', key('cold', id))
  local ids, count, fixed = string.match(cold, '^([^\n]*)\n([^\n]*)\n(.*)$')
  if sinks then fixed = with_sinks(fixed, sinks) end
  if tonumber(count) < 100 then ids = ids .. ',' .. quote(command_id) end
  redis.call('SET', key('cold', id), ids .. '\n' .. (tonumber(count) + 1) .. '\n' .. fixed)
end

-- Merge a command's wishes about the force step. The strictest wish of the commands that may bind others wins; if no
-- command may, the loosest wish wins.
local function merge_force(guard, command, set)
  local stricter, longer = STRICTNESS[command.p] - STRICTNESS[guard.p], command.fa - guard.fa
  if guard.lo and command.lo then
    set('p', command.p, stricter < 0)
    set('fa', command.fa, longer < 0)
  elseif not command.lo then
    set('p', command.p, stricter > 0 or guard.lo and stricter ~= 0)
    set('fa', command.fa, longer > 0 or guard.lo and longer ~= 0)
    guard.lo = nil
  end
end

-- A state that any of the commands expects will do; a command that expects none lifts the condition.
local function merge_expected(guard, command)
  if not guard.ex then return false end
  for _, one in ipairs(guard.ex) do
    if one == command.ex then return false end
  end
  if command.ex and #guard.ex < MOST_EXPECTED then
    table.insert(guard.ex, command.ex)
  else
    guard.ex = nil
  end
  return true
end

-- Merge a command's wishes into the guard; return whether a decision could depend on the change.
local function merge(guard, command)
  local changed = false
  local function set(field, value, when)
    if when then guard[field] = value; changed = true end
  end
  set('v', 'delete', command.v == 'delete' and guard.v ~= 'delete')
  merge_force(guard, command, set)
  local patience = guard.g - (guard.nb or guard.a) - (guard.hs or 0)
  if guard.nb and guard.nb > now then
    -- Not begun yet: the earliest time wins, and a command without one wants it at once.
    local from = math.min(guard.nb, begins(command) or now)
    changed = changed or from < guard.nb or command.ga > patience
    guard.nb, patience = from, math.max(patience, command.ga)
    guard.g, guard.m = from + patience, from + math.min(patience, command.wa)
  end
  -- During a hold the deadline counts from its start; lifting the hold moves it.
  local counted = guard.h and math.max(guard.h.at, guard.nb or 0) or now
  set('g', counted + command.ga, command.ga > patience)
  changed = merge_expected(guard, command) or changed
  local attests = command.s ~= '' and not guard.aa
  set('s', command.s, attests)
  set('sa', now, attests) -- a later attestation may be true although an earlier one was refuted
  set('ss', signature(command), attests)
  return changed
end

-- Take the latest earlier attestation by somebody who has not asked for the cancellation; nil if there is none.
local function take_earlier(guard, about)
  local words, asked = guard.ao and guard.ao[about] or {}, {}
  for _, name in ipairs(guard.aa) do asked[name] = true end
  local word
  repeat word = table.remove(words) until not word or not asked[word[1]]
  if guard.ao then guard.ao[about] = words[1] and words end
  return word
end

-- Name who attested, as `attributed` in cancellation.py does.
local function attributed(attester, signed_by)
  return signed_by and signed_by .. ' (signed) as ' .. attester or attester
end

-- Replace the attestation of somebody who now asks for the cancellation, too, by the latest earlier one that still counts, if
-- any; return the inside of the event.
local function void(guard, about)
  local attester, signature = guard.s, guard.ss
  if about ~= '' then
    attester, signature = guard.sc[about][1], guard.scs[about]
  end
  local word = take_earlier(guard, about)
  local earlier = word and {word[2], word[3]}
  local signed = word and word[4] ~= '' and {word[4], word[3]} or nil
  guard.an[about] = word and word[1]
  if about == '' then
    guard.s, guard.sa, guard.ss = earlier and earlier[1] or '', earlier and earlier[2], signed
  else
    guard.sc[about], guard.scs[about] = earlier, signed
  end
  local signed_by = signature and signature[1]
  local detail = 'only another than those who ask for the cancellation may attest, and this one now does'
  if word then detail = detail .. '; in its place stands the earlier word of ' .. attributed(word[2], signed and signed[1]) end
  return '"attested_by":' .. quote(attributed(attester, signed_by))
    .. (signed_by and ',"attestation_signed_by":' .. quote(signed_by) or '')
    .. ',"child":' .. (about ~= '' and quote(about) or 'null') .. ',"detail":' .. quote(detail)
end

-- If only others may attest, note who joins; return the events of the attestations that this makes void.
local function note_requester(id, guard, command)
  if not guard.aa and not command.at then return {} end
  if not guard.aa then guard.aa = {requester(string.match(redis.call('GET', key('cold', id)), '^[^\n]*\n[^\n]*\n(.*)$'))} end
  local name, events = requester(command.said), {}
  for _, one in ipairs(guard.aa) do
    if one == name then return {} end
  end
  table.insert(guard.aa, name)
  local lost = {}
  for about, who in pairs(guard.an or {}) do
    if who == name then lost[#lost + 1] = about end
  end
  for _, about in ipairs(lost) do events[#events + 1] = void(guard, about) end
  return events
end

local function join(id, guard, progress, command, link_member)
  append_id(id, command.c, command.rt)
  local lane, not_before = guard.l, guard.nb
  local changed = merge(guard, command)
  if command.l == 'i' and lane == 'b' then
    unschedule(id, guard)
    guard.l = 'i'
    changed = true
  end
  if changed then
    guard.r = guard.r + 1
    make_due(id, guard, now)
  end
  local lost = note_requester(id, guard, command)
  if next(lost) and not changed then
    guard.r = guard.r + 1
    make_due(id, guard, now)
  end
  local joined = '"joined":{"command_id":' .. quote(command.c) .. ',"verb":"' .. command.v .. '",' .. command.said .. '}'
  if guard.nb ~= not_before then joined = joined .. ',"not_before":"' .. iso(guard.nb) .. '"' end
  emit(id, guard, 'joined', joined, '', now)
  for _, event in ipairs(lost) do emit(id, guard, 'attestation_void', event, '', now) end
  if link_member then link_member(id, guard) end
  save(id, guard, progress)
end
