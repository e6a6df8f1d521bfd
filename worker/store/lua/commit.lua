-- Commit what passes have found and decided: record, schedule and events in one step.
--
-- KEYS[1]  the events stream
-- ARGV     per record a MessagePack array, then its packed progress. The array: id, claim token, revision that the pass has
--          seen, mode, due (ms), matters (ms, the next thing that matters without a call), calls made that the claim has not
--          paid for, verdict on the backend ("ok", "bad:FAILURES:PAUSE_MS" or ""), keep (s, a finished record's life), and the
--          events, each an array: name, extra (inside of a JSON object), outcome
-- Modes    intent: note a changing call and keep the claim; answer: note what was said to it and keep the claim; wait: give the record back, due later; alone: it is due
--          at once, for a poll that rides along with none; finish: the end
-- Returns  per record: 1 done; 0 refused, since the orders changed since the claim, or forbid any call (an intent or a
--          finish only; the record is due at once); -1 fenced, the claim is no longer ours and nothing was written
-- Events   those given; held, once no call can be in flight; canceller.backend.paused.v1 and .resumed.v1 where a verdict turns the breaker

local now = clock()

local function backend_event(backend, name, data)
  append_event('{"specversion":"1.0","id":"' .. backend .. '-' .. name .. '-' .. now .. '","source":' .. source(backend)
    .. ',"type":"canceller.backend.' .. name .. '.v1","subject":"' .. backend .. '","time":"' .. iso(now)
    .. '","datacontenttype":"application/json","backend":"' .. backend .. '","data":{"backend":"' .. backend .. '"' .. data .. '}}')
end

local sound = {} -- backends without a breaker's record, as this script knows

local function succeeded(breaker, backend)
  if sound[backend] then return end
  local state = redis.call('HMGET', breaker, 'fails', 'open', 'ramp')
  if not state[1] then
    sound[backend] = true
    return
  end
  if state[2] == '1' then
    redis.call('HSET', breaker, 'fails', 0, 'open', 0, 'ramp', 2)
    backend_event(backend, 'resumed', '')
  elseif state[3] and tonumber(state[3]) < 1024 then
    redis.call('HSET', breaker, 'fails', 0, 'ramp', tonumber(state[3]) + 1)
  else
    redis.call('DEL', breaker)
  end
end

local function failed(breaker, backend, failures, pause)
  sound[backend] = nil
  local fails = redis.call('HINCRBY', breaker, 'fails', 1)
  local state = redis.call('HMGET', breaker, 'open', 'until')
  if fails < failures or (tonumber(state[2]) or 0) > now then return end
  redis.call('HSET', breaker, 'open', 1, 'until', now + pause)
  if state[1] ~= '1' then
    backend_event(backend, 'paused', ',"failures":' .. fails .. ',"until":"' .. iso(now + pause) .. '"')
  end
end

local function judge(backend, verdict)
  local breaker = key('breaker', backend)
  if verdict == 'ok' then return succeeded(breaker, backend) end
  local failures, pause = string.match(verdict, '^bad:(%d+):(%d+)$')
  if failures then failed(breaker, backend, tonumber(failures), tonumber(pause)) end
end

local function emit_all(id, guard, cold, events)
  local last
  for _, event in ipairs(events) do last = emit(id, guard, event[1], event[2], event[3], now, cold) end
  return last
end

local ended = {} -- jobs whose cancellations end here, and the ids of these, by the hash of what is open

-- A job may have been given to another cancellation meanwhile, which stays open.
local function close_ended()
  for name, one in pairs(ended) do
    for index, id in ipairs(redis.call('HMGET', name, unpack(one.jobs))) do
      if id == one.ids[index] then later('HDEL', name, one.jobs[index]) end
    end
  end
end

local function finish(id, guard, cold, events, progress, keep)
  guard.o = events[#events][3]
  guard.i, guard.e = nil, now
  local last = events[#events]
  last[2] = last[2] .. ',"finished_at":"' .. iso(now) .. '"'
  hold_ran_out(id, guard, now)
  guard.z = emit_all(id, guard, cold, events)
  save(id, guard, progress, keep)
  local name = key('open', guard.b)
  ended[name] = ended[name] or {jobs = {}, ids = {}}
  table.insert(ended[name].jobs, open_field(guard, id))
  table.insert(ended[name].ids, id)
  redis.call('EXPIRE', key('cold', id), keep)
end

local function give_back(id, guard, due, mode)
  local begun = not guard.nb or guard.nb <= now
  if begun then guard.n = mode == 'alone' and ALONE or POLL end
  later('ZADD', due_key(guard), due, id)
end

local let_gone = {} -- ids whose claims were given back, by backend

local function let_go(id, guard, token)
  later('HDEL', key('claims', guard.b), id)
  let_gone[guard.b] = let_gone[guard.b] or {}
  for _, lane in ipairs(LEASES) do let_gone[guard.b][lane] = let_gone[guard.b][lane] or {} end
  table.insert(let_gone[guard.b][string.sub(token, -6) == '/rides' and 'r' or guard.l], id)
end

-- End the leases; one that is not where its lane has it, is in another's.
local function end_leases()
  for backend, lanes in pairs(let_gone) do
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

local function commit(one, id, guard, before, progress, cold, current)
  local token, revision, mode, due, matters = one[2], one[3], one[4], one[5], one[6]
  local verdict, keep, events = one[8], one[9], one[10]
  if not guard or current ~= token then return -1 end
  judge(guard.b, verdict)
  local barred = mode == 'intent' and (guard.h or guard.y)
  if barred or ((mode == 'intent' or mode == 'finish') and guard.r ~= revision) then
    let_go(id, guard, token)
    give_back(id, guard, now)
    if mode == 'finish' then
      -- What was found stands, such as the answer to a call; only the end does not.
      events[#events] = nil
      emit_all(id, guard, cold, events)
      before = progress
    end
    -- An intent that a dead worker left open stays open: its call may have been made.
    if mode == 'finish' or string.sub(token, -6) == '/noted' then guard.i = nil end
    acknowledge_hold(id, guard, now, cold)
    save(id, guard, before)
    return 0
  end
  if mode == 'answer' and not guard.i then return 1 end -- handed in again: it was stored, and nobody was told
  local keeps = mode == 'intent' or mode == 'answer'
  if not keeps then let_go(id, guard, token) end
  if mode == 'finish' then
    finish(id, guard, cold, events, progress, keep)
    return 1
  end
  emit_all(id, guard, cold, events)
  guard.i = mode == 'intent' and 1 or nil
  acknowledge_hold(id, guard, now, cold)
  if not keeps then
    guard.m = guard.x ~= '' and now or matters
    give_back(id, guard, (mode == 'alone' or guard.r ~= revision) and now or due, mode)
  end
  save(id, guard, progress)
  return 1
end

local unlimited = {} -- backends without a rate limit, as this script knows

local function charge(backend, calls)
  local limit = key('limit', backend)
  if unlimited[backend] == nil then unlimited[backend] = redis.call('EXISTS', limit) == 0 end
  if not unlimited[backend] then redis.call('HINCRBYFLOAT', limit, 'tokens', -calls) end
end

go_on_without_memory()
local passes, ids, results = {}, {}, {}
for index = 1, #ARGV, 2 do
  passes[#passes + 1] = cmsgpack.unpack(ARGV[index])
  ids[#ids + 1] = passes[#passes][1]
end
-- All is read before anything is written: what can't be read must not leave others half written.
local guards, before, cold = {}, {}, stored('cold', ids)
for index, value in ipairs(stored('hot', ids)) do guards[index], before[index] = read(value) end
local current = claim_tokens(ids, guards)
for index, one in ipairs(passes) do
  local guard = guards[index]
  results[index] = commit(one, ids[index], guard, before[index], ARGV[2 * index], cold[index], current[index])
  if guard and one[7] > 0 then charge(guard.b, one[7]) end
end
close_ended()
settle()
end_leases()
return results
