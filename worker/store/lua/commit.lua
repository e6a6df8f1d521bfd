-- Commit passes: what each has found and decided, as record, schedule and events in one step.
--
-- Includes many, record, events, verdicts
-- On demand holds: acknowledge_hold, hold_ran_out
-- On demand batches: end_links, save_batches
--
-- KEYS[1]  the events stream
-- ARGV     per record a MessagePack array, its packed progress, and what is kept of that if it finishes. The array: id,
--          claim token, revision that the pass has seen, mode, due (ms), matters (ms, when something must happen even without
--          a call), calls made that the claim has not paid for, verdict on the backend (see verdicts.lua), keep (s, a finished
--          record's life), the events, each an array: name, extra (inside of a JSON object), outcome; and how long after the
--          end of its cancellation the job is looked at (ms, absent for never)
-- Modes    intent  note a changing call, keep the claim
--          answer  note the answer to it, keep the claim
--          wait    give the record back, due later
--          alone   give the record back, due at once for a poll that is not piggy-backed
--          finish  end the cancellation
-- Returns  per record: 1 done; 0 refused, because what is wanted has changed since the claim or forbids any call (an intent
--          or a finish only; the record is due at once); -1 fenced, the claim is no longer ours and nothing was written
-- Events   those given; held, once no call can be in flight; those of verdicts.lua if a verdict opens or closes the breaker;
--          those of batches whose members end

local now = clock()
local end_links, save_batches -- defined once a member of a batch ends

local function emit_all(id, guard, cold, events)
  local last
  for _, event in ipairs(events) do last = emit(id, guard, event[1], event[2], event[3], now, cold) end
  return last
end

local ended = {} -- by the hash of what is open: the fields of jobs whose cancellations end here, and the ids of those

-- Remove what ended from the hashes of what is open. A field may belong to a newer cancellation by now, which stays.
local function close_ended()
  for name, one in pairs(ended) do
    for index, id in ipairs(redis.call('HMGET', name, unpack(one.jobs))) do
      if id == one.ids[index] then defer('HDEL', name, one.jobs[index]) end
    end
  end
end

-- Announce a hold, unless that was done or a call may still be in flight.
local function acknowledge(id, guard, cold)
  if not guard.h then return end
  local acknowledge_hold = holds()
  acknowledge_hold(id, guard, now, cold)
end

local function finish(id, guard, cold, events, progress, keep, look_after)
  guard.o = events[#events][3]
  guard.i, guard.e = nil, now
  local last = events[#events]
  last[2] = last[2] .. ',"finished_at":"' .. iso(now) .. '"'
  if guard.h then
    local _, hold_ran_out = holds()
    hold_ran_out(id, guard, now)
  end
  guard.z = emit_all(id, guard, cold, events)
  if guard.bt then
    if not end_links then end_links, save_batches = batches() end
    end_links(id, guard, last[2], now)
  end
  local life = guard.y and guard.bt and 1 or keep -- the result of a dry run in a batch is in the batch
  save(id, guard, progress, life)
  local name = key('open', guard.b)
  ended[name] = ended[name] or {jobs = {}, ids = {}}
  table.insert(ended[name].jobs, open_field(guard, id))
  table.insert(ended[name].ids, id)
  redis.call('EXPIRE', key('cold', id), life)
  if look_after then
    redis.call('ZADD', key('watch', guard.b), now + look_after, id)
    redis.call('EXPIRE', key('watch', guard.b), keep)
  end
end

local function give_back(id, guard, due, mode)
  local begun = not guard.nb or guard.nb <= now
  if begun then guard.n = mode == 'alone' and ALONE or POLL end
  defer('ZADD', due_key(guard), due, id)
end

local given_back = {} -- ids whose claims end here, by backend and lane of the lease

local function end_claim(id, guard, token)
  defer('HDEL', key('claims', guard.b), id)
  given_back[guard.b] = given_back[guard.b] or {}
  for _, lane in ipairs(LEASES) do given_back[guard.b][lane] = given_back[guard.b][lane] or {} end
  table.insert(given_back[guard.b][string.sub(token, -6) == '/rides' and 'r' or guard.l], id)
end

-- End the leases. One that is not in the zset of its lane is in another's.
local function end_leases()
  for backend, lanes in pairs(given_back) do
    for lane, ids in pairs(lanes) do
      if call_many('ZREM', key('lease', backend, lane), ids) < #ids then
        for _, other in ipairs(LEASES) do call_many('ZREM', key('lease', backend, other), ids) end
      end
    end
  end
end

-- Return the tokens of the claims on many records, in their order.
local function claim_tokens(ids, guards)
  local tokens, wanted = {}, {}
  for index, id in ipairs(ids) do
    local backend = guards[index] and guards[index].b
    if backend then
      wanted[backend] = wanted[backend] or {ids = {}, places = {}}
      table.insert(wanted[backend].ids, id)
      table.insert(wanted[backend].places, index)
    end
  end
  for backend, one in pairs(wanted) do
    for place, token in ipairs(redis.call('HMGET', key('claims', backend), unpack(one.ids))) do
      tokens[one.places[place]] = token
    end
  end
  return tokens
end

local function commit(one, id, guard, before, progress, kept, cold, current)
  local token, revision, mode, due, matters = one[2], one[3], one[4], one[5], one[6]
  local verdict, keep, events = one[8], one[9], one[10]
  if not guard or current ~= token then return -1 end
  note_verdict(guard.b, verdict, now)
  local barred = mode == 'intent' and (guard.h or guard.y)
  if barred or ((mode == 'intent' or mode == 'finish') and guard.r ~= revision) then
    end_claim(id, guard, token)
    give_back(id, guard, now)
    if mode == 'finish' then
      -- What the pass found stands, such as the answer to a call; only the end does not.
      events[#events] = nil
      emit_all(id, guard, cold, events)
      before = progress
    end
    -- An intent that a dead worker left open stays open, because its call may have been made.
    if mode == 'finish' or string.sub(token, -6) == '/noted' then guard.i = nil end
    acknowledge(id, guard, cold)
    save(id, guard, before)
    return 0
  end
  if mode == 'answer' and not guard.i then return 1 end -- committed again: it was stored, but the reply was lost
  local keeps = mode == 'intent' or mode == 'answer'
  if not keeps then end_claim(id, guard, token) end
  if mode == 'finish' then
    finish(id, guard, cold, events, kept, keep, one[11])
    return 1
  end
  emit_all(id, guard, cold, events)
  guard.i = mode == 'intent' and 1 or nil
  acknowledge(id, guard, cold)
  if not keeps then
    guard.m = guard.x ~= '' and now or matters
    give_back(id, guard, (mode == 'alone' or guard.r ~= revision) and now or due, mode)
  end
  save(id, guard, progress)
  return 1
end

local unlimited = {} -- backend -> whether it has no rate limit

local function charge(backend, calls)
  local limit = key('limit', backend)
  if unlimited[backend] == nil then unlimited[backend] = redis.call('EXISTS', limit) == 0 end
  if not unlimited[backend] then redis.call('HINCRBYFLOAT', limit, 'tokens', -calls) end
end

go_on_without_memory()
local passes, ids, results = {}, {}, {}
for index = 1, #ARGV, 3 do
  passes[#passes + 1] = cmsgpack.unpack(ARGV[index])
  ids[#ids + 1] = passes[#passes][1]
end
-- Everything is read before anything is written: an unreadable record must not leave others half written.
local guards, before, cold = {}, {}, values_of('cold', ids)
for index, value in ipairs(values_of('hot', ids)) do guards[index], before[index] = read(value) end
local current = claim_tokens(ids, guards)
for index, one in ipairs(passes) do
  local guard = guards[index]
  local progress, kept = ARGV[3 * index - 1], ARGV[3 * index]
  results[index] = commit(one, ids[index], guard, before[index], progress, kept, cold[index], current[index])
  if guard and one[7] > 0 then charge(guard.b, one[7]) end
end
close_ended()
run_deferred()
end_leases()
if save_batches then save_batches(now) end
return results
