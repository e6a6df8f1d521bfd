-- Claim due records of one backend for one worker: a claim is a lease, and only a claimed record has one.
--
-- KEYS[1]  the events stream
-- ARGV     backend, worker, slots (most to claim), lease (ms), max in flight (over all workers), rate (calls per
--          second, 0 = unlimited), batch slots (most in flight that the batch lane may hold over all workers),
--          how many more the batch lane may have in this worker, how many polls one call of a list may show (1 where
--          there are no lists), whether a first cancel goes out without a look (1 or 0): its intent is then noted with the
--          claim; and where nobody serves the backend, as this worker finds: the `:serves` of it that it saw last (0 for
--          none), and whether only what is withdrawn is claimed (1 or 0)
-- Returns  {now (ms), suspect (ms, before which Redis may have forgotten something, or 0), next due (ms, or -1),
--          blind (1: the backend is paused, no calls), then token, id, hot value as it was of each claimed record}
-- Events   released, where the time of a hold is over
-- Riders   of many polls only one for each call of a list holds a permit, and pays for the call; the others ride along:
--          they may make no call of their own
-- Interactive records go first, batch ones take what is left; within a lane polls and first passes alternate.

local backend, worker = ARGV[1], ARGV[2]
local slots, lease, most, rate = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local batch, own_batch, per_list = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local unseen = ARGV[10] == '1'
local last_served, only_withdrawn = tonumber(ARGV[11]), ARGV[12] == '1'
local now = clock()
local RETURN_AT_ONCE = 50 -- parked records that come back per claim once the backend answers again
local MOST_POLLS = 64 -- with riders, per claim: what holds no permit must not hold up a worker either
local out = {now, 0, -1, 0}

-- A server that we do not know may have lost what another one had: a restart, a failover.
local function suspect()
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
      requeue_first(id, now)
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

local notes = {} -- the records with an intent noted here: key, value, …

-- Note the intent of a first cancel that needs no look: nothing was done or seen yet, and nothing is forgotten.
local function note_intent(id, guard, progress, value)
  if not unseen or guard.v ~= 'cancel' or guard.x ~= '' or progress ~= '' or guard.n or guard.i then return false end
  if guard.nb and guard.nb > now or guard.h or guard.y or guard.ex then return false end
  if guard.g <= now or (out[2] > 0 and guard.a <= out[2]) then return false end
  -- The guard has no `i` and nothing follows it, so that is spliced in: cheaper than to encode all of it again.
  notes[#notes + 1], notes[#notes + 2] = key('hot', id), string.sub(value, 1, -3) .. ',"i":' .. now .. '}\n'
  return true
end

-- Claim a record that comes off the schedule. While the backend is paused its passes are blind: no intents.
-- One that can't be read stops no other: it is tried again later. Return how it was claimed, nil if it was not: 'rides';
-- 'polls' and 'pays', with a permit; or 'short', which leaves it where it was for want of one.
local function claim(id, value, due, may_ride, permit)
  local readable, guard, progress = pcall(read, value)
  if not readable or (not guard and progress) then later('ZADD', due, now + 60000, id) end
  if not readable or not guard or guard.o ~= '' then return nil end
  if hold_ran_out(id, guard, now) then value = save(id, guard, progress) end
  local rides = may_ride and guard.n == POLL
  if not rides and not permit then return 'short' end
  local noted = out[4] == 0 and note_intent(id, guard, progress, value)
  local token = worker .. '/' .. now .. '/' .. #out .. (noted and '/noted' or rides and '/rides' or '')
  later('HSET', key('claims', backend), id, token)
  later('ZADD', key('lease', backend, rides and 'r' or guard.l), now + lease, id)
  out[#out + 1], out[#out + 2] = token, id
  out[#out + 1] = value
  return rides and 'rides' or guard.n == POLL and 'polls' or 'pays'
end

local budget, spent = 0, 0 -- calls that the rate limit allows, and those paid for here
local riding, polls = false, 0 -- whether polls ride along, and how many are claimed

-- Polls ride along where so many are due that a list is worth a call; fewer are looked at one by one.
local function let_ride(free, batch_free)
  if per_list <= 1 or free < 1 or budget < 1 then return end
  local function due(lane) return redis.call('ZCOUNT', key('due', backend, lane .. 'p'), '-inf', now) end
  riding = due('i') + (batch_free > 0 and due('b') or 0) >= per_list
end

-- Claim of one class for so many permits; return how many were used.
local function take(class, permits)
  permits = math.max(0, math.min(permits, math.floor(budget - spent + 0.001)))
  local ride = riding and string.sub(class, 2) == 'p'
  local count = permits
  if ride then count = math.max(0, math.min(permits * per_list + -polls % per_list, MOST_POLLS - polls)) end
  if count == 0 then return 0 end
  local used, taken, due = 0, {}, key('due', backend, class)
  local ids = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, count)
  for index, value in ipairs(stored('hot', ids)) do
    local how = claim(ids[index], value, due, ride and polls % per_list > 0, used < permits)
    if how == 'short' then break end
    taken[index] = ids[index]
    if how == 'rides' or how == 'polls' then polls = polls + 1 end
    if how == 'polls' or how == 'pays' then used = used + 1 end
  end
  call_many('ZREM', due, taken)
  spent = spent + used
  return used
end

-- Half for one class, the rest for the other; by turns, where it is not even. Where the rate allows less than that, the
-- one that went first pays with all of it, so they take turns.
local function take_lane(lane, permits)
  local one, other = 'p', 'f'
  if rate > 0 and redis.call('HGET', key('limit', backend), 'turn' .. lane) == 'p' then one, other = 'f', 'p' end
  local ones = take(lane .. one, math.floor((permits + (rate > 0 and 1 or now % 2)) / 2))
  local others = take(lane .. other, permits - ones)
  if rate > 0 and ones + others > 0 then redis.call('HSET', key('limit', backend), 'turn' .. lane, one) end
  return ones + others + take(lane .. one, permits - ones - others)
end

local function next_due()
  local soonest = -1
  for _, class in ipairs(CLASSES) do
    local first = redis.call('ZRANGE', key('due', backend, class), 0, 0, 'WITHSCORES')
    if first[2] and (soonest < 0 or tonumber(first[2]) < soonest) then soonest = tonumber(first[2]) end
  end
  return soonest
end

-- What can't be read, or only by newer workers, stops no other: it is tried again later.
local function park_due()
  for _, class in ipairs(CLASSES) do
    local due = key('due', backend, class)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 100)) do
      local readable, guard, newer = pcall(load, id)
      redis.call('ZREM', due, id)
      if not readable or (not guard and newer) then
        redis.call('ZADD', due, now + 60000, id)
      elseif guard and guard.o == '' then
        redis.call('ZADD', key('park', backend, guard.l), math.min(guard.m, guard.h and guard.h.u or guard.m), id)
      end
    end
  end
end

-- While the backend is paused nothing is called; what matters without a call (a deadline, an abort) goes on.
local function claim_blind(pause_end)
  park_due()
  out[3], out[4] = pause_end, 1
  for _, lane in ipairs(LANES) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('park', backend, lane), '-inf', now, 'LIMIT', 0, slots)) do
      redis.call('ZREM', key('park', backend, lane), id)
      if claim(id, redis.call('GET', key('hot', id)), key('park', backend, lane), false, true) then slots = slots - 1 end
    end
    local first = redis.call('ZRANGE', key('park', backend, lane), 0, 0, 'WITHSCORES')
    out[3] = math.min(out[3], tonumber(first[2] or pause_end))
  end
  local due = next_due()
  if due >= 0 then out[3] = math.min(out[3], due) end
end

local function withdrawn(id)
  local readable, guard = pcall(load, id)
  return readable and guard and guard.x ~= ''
end

-- Nobody serves this backend, so nothing is called. A beat since this worker looked says otherwise: then nothing is claimed.
local function claim_unserved()
  if (tonumber(redis.call('ZSCORE', key('serves'), backend) or 0)) ~= last_served then return end
  out[4] = 1
  free_dead_claims(backend)
  park_due()
  for _, lane in ipairs(LANES) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('park', backend, lane), '-inf', now, 'LIMIT', 0, slots)) do
      if not only_withdrawn or withdrawn(id) then
        redis.call('ZREM', key('park', backend, lane), id)
        claim(id, redis.call('GET', key('hot', id)), key('park', backend, lane), false, true)
      end
    end
  end
  out[3] = next_due()
end

-- Parked records come back by and by, the interactive ones first; return whether some are left.
local function unpark()
  local left = RETURN_AT_ONCE
  for _, lane in ipairs(LANES) do
    if left > 0 then
      for _, id in ipairs(redis.call('ZRANGE', key('park', backend, lane), 0, left - 1)) do
        redis.call('ZREM', key('park', backend, lane), id)
        requeue(id, now)
        left = left - 1
      end
    end
  end
  return redis.call('EXISTS', key('park', backend, 'i'), key('park', backend, 'b')) > 0
end

-- How many calls may be in flight: one probe while the breaker is half open, then more with each success.
local function allowed(breaker)
  if breaker[1] == '1' then return 1 end
  return math.min(most, tonumber(breaker[3]) or most)
end

go_on_without_memory()
out[2] = suspect()
expire_leases()
if last_served then
  claim_unserved()
  settle()
  return out
end
local breaker = redis.call('HMGET', key('breaker', backend), 'open', 'until', 'ramp')
if breaker[1] == '1' and tonumber(breaker[2]) > now then
  claim_blind(tonumber(breaker[2]))
  settle()
  return out
end
local parked = unpark()
local held = redis.call('ZCARD', key('lease', backend, 'b'))
local flying = redis.call('ZCARD', key('lease', backend, 'i')) + held
budget = tokens()
local free = math.min(slots, allowed(breaker) - flying)
if free > 0 then
  local batch_free = math.min(batch - held, own_batch)
  if breaker[1] ~= '1' then let_ride(free, batch_free) end
  local taken = take_lane('i', free)
  taken = taken + take_lane('b', math.min(free - taken, batch_free))
  if rate > 0 then redis.call('HINCRBYFLOAT', key('limit', backend), 'tokens', -spent) end
  write_many(notes)
end
settle()
out[3] = parked and now or next_due()
if budget < 1 and out[3] >= 0 then out[3] = math.max(out[3], now + math.ceil((1 - budget) * 1000 / rate)) end
return out
