-- The record of a cancellation: how it is read, written and named.
--
-- Includes keys
--
-- The guard is a JSON object. Its names are short because every byte is stored once per open cancellation; guard.py has the
-- full names. Times are in ms.
--   f        format: 3 for records with bt, 2 for others with h, hs, y, ex or aa, which older workers must leave alone; 1 for
--            all others
--   b j v    backend, job id, verb
--   p fa     the force step: its policy, and after how many seconds it is allowed
--   lo       1: p and fa are the wishes of commands that may not bind others
--   g        when the cancellation is given up
--   l        lane: i(nteractive) or b(atch)
--   s sa ss  an attestation that the job has stopped: by whom, when, {who signed it, when}; a signature of another time
--            belongs to an earlier attestation
--   sc scs   the same about children: job id -> {by whom, when}, job id -> {who signed it, when}
--   x xa     aborted: by whom and why, as text; the same as an action with by, signed_by, reason
--   r        revision: every change to what is wanted increments it
--   a        when the cancellation was accepted
--   q        sequence of its latest event
--   n        what the next pass is, POLL or ALONE; absent before the first pass
--   i        an open intent: 1, or the time if a claim noted it for a first cancel
--   m        when something must happen even without a call: a deadline, an abort
--   o e z    outcome ("" while open), when it finished, stream id of its last event
--   w k      traceparent, params
--   ad       what addresses the job besides its id; absent if the id is enough
--   d        mark of the backend's place when the cancellation was accepted
--   nb       no call before this time; absent if the first may be made at once
--   h hs     a hold, see holds.lua; for how long earlier holds have lasted
--   y        1: a dry run
--   ra       1: it has ended, and a `reappeared` event has reported that its job is alive again
--   ex       states in which the first changing call may be made, in the backend's words; absent for any state
--   bt bm    the member of a batch that it is linked to: {id of the batch, index}; 1: there are more links, see batches.lua
--   aa an    who has asked for the cancellation, present if only others may attest; who has attested: "" or child -> name
--   ao       with aa, earlier attestations by others than the one in an: "" or child -> {{name, by whom, when, who signed it or
--            ""}}, the oldest first

local FORMAT = 3
local POLL, ALONE = 1, 2 -- the next pass is not the first: a poll that may be piggy-backed, or one that may not

-- Read a record: its guard, its progress and its whole value; nil if there is none. A record of a newer format returns nil
-- and its guard.
local function read(value)
  if not value then return nil end
  local stop = string.find(value, '\n', 1, true)
  local guard = cjson.decode(string.sub(value, 1, stop - 1))
  if guard.f > FORMAT then return nil, guard, nil end
  return guard, string.sub(value, stop + 1), value
end

local function load(id)
  return read(redis.call('GET', key('hot', id)))
end

-- Return a record as it is stored, in the lowest format that has all that it holds.
local function packed(guard, progress)
  guard.f = guard.bt and 3 or (guard.h or guard.hs or guard.y or guard.ex or guard.aa) and 2 or 1
  return cjson.encode(guard) .. '\n' .. progress
end

-- Write a record and return its value; `keep` is the seconds after which it expires.
local function save(id, guard, progress, keep)
  local value = packed(guard, progress)
  if keep then redis.call('SET', key('hot', id), value, 'EX', keep) else redis.call('SET', key('hot', id), value) end
  return value
end

-- Return the field of a job in the hash of what is open; `one` is a guard, or a command with the same fields. A dry run has
-- a field of its own.
local function open_field(one, id)
  if one.y then return '\30' .. id end
  return one.ad and one.j .. '\31' .. one.ad or one.j
end

-- Return the key of the schedule that a record belongs to.
local function due_key(guard)
  return key('due', guard.b, guard.l .. (guard.n and 'p' or 'f'))
end
