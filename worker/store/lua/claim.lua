-- Claim due records of one backend for one worker: a claim is a lease, and only a claimed record has one.
--
-- Includes many, record, schedule, breaker
-- On demand holds: hold_ran_out
-- On demand parking: park_due, unpark
-- On demand dead_claims: free_dead_claims
--
-- KEYS[1]  the events stream
-- ARGV      1  backend
--           2  worker
--           3  slots: the most records to claim
--           4  lease (ms)
--           5  the most calls in flight, over all workers
--           6  rate: calls per second, 0 for no limit
--           7  batch slots: the most that the batch lane may have in flight, over all workers
--           8  how many more the batch lane may take in this worker
--           9  how many polls one call of a list can answer, 1 without lists
--          10  1 if a first cancel goes out without a look, so that its intent is noted with the claim; else 0
--          11  only if nobody serves the backend, as far as this worker knows: its score in `:serves` that was seen last, or 0
--          12  with 11: 1 if only aborted cancellations are claimed, else 0
-- Returns  {now (ms), lost at (ms, before which Redis may have forgotten something, or 0), next due (ms, or -1),
--          1 if the backend is paused, so that no call is allowed, else 0; then token, id, hot value and lateness of each
--          claimed record: the value as it was before the claim, and for how long it was due (ms, or -1 if that is not known)}
-- Events   released, if the time of a hold is over
--
-- Each claimed record holds one of the backend's permits, except for piggy-backed polls. In order of precedence:
--   lane         interactive records first; batch records take what is left
--   class        within a lane first passes and polls take turns
--   piggy-back   if a list answers many polls, one of them holds a permit and pays for the call; the others are
--                piggy-backed: they hold no permit, and may make no call of their own

local backend, worker = ARGV[1], ARGV[2]
local slots, lease, most, rate = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local batch, own_batch, per_list = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local unseen = ARGV[10] == '1'
local last_served, only_aborted = tonumber(ARGV[11]), ARGV[12] == '1'
local now = clock()
local MOST_POLLS = 64 -- per claim, piggy-backed ones included: they hold no permit, but take up a worker all the same
local lost_at, next_wake, paused = 0, -1, false
local out = {0, 0, 0, 0} -- the reply; its first four values come last

-- Return when a change of the Redis server was last noticed, 0 for never. A server with another run id, after a restart or a
-- failover, may have lost the latest writes of its predecessor.
local function forgotten_since()
  local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local known = redis.call('HMGET', key('server'), 'run_id', 'suspect')
  if known[1] == run_id then return tonumber(known[2]) end
  local since = known[1] and now or 0
  redis.call('HSET', key('server'), 'run_id', run_id, 'suspect', since)
  return since
end

local function expire_leases()
  for _, lane in ipairs(LEASES) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('lease', backend, lane), '-inf', now, 'LIMIT', 0, 100)) do
      redis.call('HDEL', key('claims', backend), id)
      redis.call('ZREM', key('lease', backend, lane), id)
      requeue(id, now, true)
    end
  end
end

local function tokens()
  if rate <= 0 then return math.huge end
  local state = redis.call('HMGET', key('limit', backend), 'tokens', 'at')
  local burst = math.max(1, rate / 10)
  local left = math.min(burst, (tonumber(state[1]) or burst) + math.max(0, now - (tonumber(state[2]) or now)) * rate / 1000)
  redis.call('HSET', key('limit', backend), 'tokens', left, 'at', now)
  return left
end

local notes = {} -- records with an intent that is noted here: key, value, …

-- Note the intent of a first cancel that needs no look, since nothing was done or seen yet and nothing was forgotten.
local function note_intent(id, guard, progress, value)
  if not unseen or guard.v ~= 'cancel' or guard.x ~= '' or progress ~= '' or guard.n or guard.i then return false end
  if guard.nb and guard.nb > now or guard.h or guard.y or guard.ex then return false end
  if guard.g <= now or (lost_at > 0 and guard.a <= lost_at) then return false end
  -- The guard has no `i` and no progress follows it, so `i` is spliced in: cheaper than encoding all of it again.
  notes[#notes + 1], notes[#notes + 2] = key('hot', id), string.sub(value, 1, -3) .. ',"i":' .. now .. '}\n'
  return true
end

-- Claim a record that comes off the schedule; an unreadable one is scheduled for later, and others go on. Returns how it was
-- claimed: 'piggy-backed', without a permit; 'polls' or 'pays', with one; 'short' if it needs a permit and there is none, so that
-- it stays scheduled; nil if it was not claimed. `due_at` is its time in the schedule `due`.
local function claim_record(id, value, due, on_list, permit, due_at)
  local readable, guard, progress = pcall(read, value)
  if not readable or (not guard and progress) then defer('ZADD', due, now + 60000, id) end
  if not readable or not guard or guard.o ~= '' then return nil end
  if guard.h then
    local hold_ran_out = holds()
    if hold_ran_out(id, guard, now) then value = save(id, guard, progress) end
  end
  local piggy_backed = on_list and guard.n == POLL
  if not piggy_backed and not permit then return 'short' end
  local noted = not paused and note_intent(id, guard, progress, value)
  local token = worker .. '/' .. now .. '/' .. #out .. (noted and '/noted' or piggy_backed and '/rides' or '')
  defer('HSET', key('claims', backend), id, token)
  defer('ZADD', key('lease', backend, piggy_backed and 'r' or guard.l), now + lease, id)
  out[#out + 1], out[#out + 2] = token, id
  -- What a dead worker had claimed is scheduled at the time of its acceptance, in front of all others.
  local known = due_at and not (guard.n and due_at == guard.a)
  out[#out + 1], out[#out + 2] = value, known and now - due_at or -1
  return piggy_backed and 'piggy-backed' or guard.n == POLL and 'polls' or 'pays'
end

local budget, spent = 0, 0 -- calls that the rate limit allows, and those paid for here
local shares, polls = false, 0 -- whether polls are piggy-backed, and how many are claimed

-- Polls are piggy-backed if enough of them are due to be worth the call of a list; fewer are polled one by one.
local function share_lists(free, batch_free)
  if per_list <= 1 or free < 1 or budget < 1 then return end
  local function due(lane) return redis.call('ZCOUNT', key('due', backend, lane .. 'p'), '-inf', now) end
  shares = due('i') + (batch_free > 0 and due('b') or 0) >= per_list
end

local function with_scores(found)
  local members, scores = {}, {}
  for index = 1, #found, 2 do
    members[#members + 1], scores[#scores + 1] = found[index], tonumber(found[index + 1])
  end
  return members, scores
end

-- Claim records of one class with at most this many permits; return how many were used.
local function take_class(class, permits)
  permits = math.max(0, math.min(permits, math.floor(budget - spent + 0.001)))
  local shared = shares and string.sub(class, 2) == 'p'
  local count = permits
  if shared then
    local left_on_list = -polls % per_list -- of the list that the latest permit pays for
    count = math.max(0, math.min(permits * per_list + left_on_list, MOST_POLLS - polls))
  end
  if count == 0 then return 0 end
  local used, taken, due = 0, {}, key('due', backend, class)
  local ids, due_at = with_scores(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'WITHSCORES', 'LIMIT', 0, count))
  for index, value in ipairs(values_of('hot', ids)) do
    local how = claim_record(ids[index], value, due, shared and polls % per_list > 0, used < permits, due_at[index])
    if how == 'short' then break end
    taken[index] = ids[index]
    if how == 'piggy-backed' or how == 'polls' then polls = polls + 1 end
    if how == 'polls' or how == 'pays' then used = used + 1 end
  end
  call_many('ZREM', due, taken)
  spent = spent + used
  return used
end

-- Claim half of a lane's permits for polls and half for first passes; an odd one goes to either by the parity of the time.
-- If the rate allows fewer calls, the class that goes first may use all of them, so the classes take turns at going first.
local function take_lane(lane, permits)
  local one, other = 'p', 'f'
  if rate > 0 and redis.call('HGET', key('limit', backend), 'turn' .. lane) == 'p' then one, other = 'f', 'p' end
  local ones = take_class(lane .. one, math.floor((permits + (rate > 0 and 1 or now % 2)) / 2))
  local others = take_class(lane .. other, permits - ones)
  if rate > 0 and ones + others > 0 then redis.call('HSET', key('limit', backend), 'turn' .. lane, one) end
  return ones + others + take_class(lane .. one, permits - ones - others)
end

local function next_due()
  local soonest = -1
  for _, class in ipairs(CLASSES) do
    local first = redis.call('ZRANGE', key('due', backend, class), 0, 0, 'WITHSCORES')
    if first[2] and (soonest < 0 or tonumber(first[2]) < soonest) then soonest = tonumber(first[2]) end
  end
  return soonest
end

-- While the backend is paused, no calls are made: only what must happen even without a call (a deadline, an abort) is claimed.
local function claim_paused(pause_end)
  local park_due = parking()
  park_due(backend, now)
  next_wake, paused = pause_end, true
  for _, lane in ipairs(LANES) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('park', backend, lane), '-inf', now, 'LIMIT', 0, slots)) do
      redis.call('ZREM', key('park', backend, lane), id)
      if claim_record(id, redis.call('GET', key('hot', id)), key('park', backend, lane), false, true) then slots = slots - 1 end
    end
    local first = redis.call('ZRANGE', key('park', backend, lane), 0, 0, 'WITHSCORES')
    next_wake = math.min(next_wake, tonumber(first[2] or pause_end))
  end
  local due = next_due()
  if due >= 0 then next_wake = math.min(next_wake, due) end
end

local function is_aborted(id)
  local readable, guard = pcall(load, id)
  return readable and guard and guard.x ~= ''
end

-- Nobody serves this backend, so no calls are made. If there was a beat since this worker looked, nothing is claimed.
local function claim_unserved()
  if (tonumber(redis.call('ZSCORE', key('serves'), backend) or 0)) ~= last_served then return end
  paused = true
  local free_dead_claims = dead_claims()
  free_dead_claims(backend)
  local park_due = parking()
  park_due(backend, now)
  for _, lane in ipairs(LANES) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('park', backend, lane), '-inf', now, 'LIMIT', 0, slots)) do
      if not only_aborted or is_aborted(id) then
        redis.call('ZREM', key('park', backend, lane), id)
        claim_record(id, redis.call('GET', key('hot', id)), key('park', backend, lane), false, true)
      end
    end
  end
  next_wake = next_due()
end

-- How many calls may be in flight: one probe while the breaker is half open, then more with each success.
local function allowed(breaker)
  return breaker.open and 1 or math.min(most, breaker.ramp or most)
end

local function reply()
  out[1], out[2], out[3], out[4] = now, lost_at, next_wake, paused and 1 or 0
  return out
end

go_on_without_memory()
lost_at = forgotten_since()
expire_leases()
if last_served then
  claim_unserved()
  run_deferred()
  return reply()
end
local breaker = breaker_of(backend)
if is_paused(breaker, now) then
  claim_paused(breaker.ends)
  run_deferred()
  return reply()
end
local parked = redis.call('EXISTS', key('park', backend, 'i'), key('park', backend, 'b')) > 0
if parked then
  local _, unpark = parking()
  parked = unpark(backend, now)
end
local held = redis.call('ZCARD', key('lease', backend, 'b'))
local flying = redis.call('ZCARD', key('lease', backend, 'i')) + held
budget = tokens()
local free = math.min(slots, allowed(breaker) - flying)
if free > 0 then
  local batch_free = math.min(batch - held, own_batch)
  if not breaker.open then share_lists(free, batch_free) end
  local taken = take_lane('i', free)
  taken = taken + take_lane('b', math.min(free - taken, batch_free))
  if rate > 0 then redis.call('HINCRBYFLOAT', key('limit', backend), 'tokens', -spent) end
  write_many(notes)
end
run_deferred()
next_wake = parked and now or next_due()
if budget < 1 and next_wake >= 0 then next_wake = math.max(next_wake, now + math.ceil((1 - budget) * 1000 / rate)) end
return reply()
