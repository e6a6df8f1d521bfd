-- The keys of a deployment, and the time by its clock.
--
-- Every key lies under the hash tag of KEYS[1], so one deployment is one slot of a cluster:
--   :events            stream of CloudEvents, one field `event`
--   :dead              stream of dead letters; :dead:unsigned has those of unknown senders, if it is known who may send
--   :hot:ID            "guard JSON \n progress" of a cancellation; scripts own the guard, passes own the progress
--   :cold:ID           "command ids \n their number \n fixed fields", JSON fragments for its events
--   :backends          set of the names of all backends that ever had one
--   :open:BACKEND      hash, job id, followed by "\31" and its address if it has one -> id of its open cancellation; a dry
--                      run is there under "\30" and its own id
--   :due:BACKEND:LP    zset, id -> due time (ms); L = i(nteractive) or b(atch), P = f(irst pass) or p(oll)
--   :park:BACKEND:L    zset, id -> when something must happen even without a call (ms), while the backend is paused
--   :lease:BACKEND:L   zset, id -> end of its lease (ms); L also r and x, which hold no permit: piggy-backed polls,
--                      and a dead worker's open intents
--   :claims:BACKEND    hash, id -> claim token, "WORKER/...", with "/noted" at its end if the claim noted an intent,
--                      "/rides" if it holds no permit
--   :watch:BACKEND     zset, id of a cancellation that has ended -> when to look at its job next (ms)
--   :limit:BACKEND     hash, rate limiter: tokens, at; which class of each lane went first: turni, turnb; looked, see watch.lua
--   :breaker:BACKEND   hash: fails, open, until, ramp
--   :cmd:WEEK:SHARD    hash, digest of a command id -> "digest of its content" .. id of its cancellation; also of
--                      "rejected MARK" -> .. id of its event, and of `rejection_of(command id)` -> "when, ms" .. id of its event;
--                      WEEK is "later" for a command that may not be acted on yet, which outlives its week
--   :submit:ID         string with a TTL: how many commands a `worker.submit` has, or -1 if some have ids of their own
--   :workers           zset, worker -> when its beat ends (ms)
--   :feeders           the same for the workers that know batches: older ones do not
--   :serves            zset, backend -> when the last beat of a worker that serves it ends, or has ended (ms)
--   :handovers         set of the names of all backends that ever had a :handover:BACKEND
--   :handover:BACKEND  hash, digest -> a command that is left to workers that can take it in
--   :signed:HOUR:SHARD hash, mark of a signature -> what used it; no token lives longer than an hour
--   :minute:MINUTE     hash, producer -> its commands in that minute
--   :batches           zset, batch -> when its first part came (ms)
--   :feeding           zset, batch that has not ended -> when there is something to do for it (ms)
--   :batch:ID          a batch, see batches.lua; ID may hold any character
--   :batchparts:ID     hash, number of a part -> its commands, packed
--   :batchsizes:ID     hash, number of a part -> digest, how many commands, who signed it
--   :batchends:ID      hash, index of a member -> its result
--   :batchopen:ID      zset, "index, id of its cancellation" of an open member -> index
--   :batchpassed:ID:BACKEND  list: indexes of members that were passed, and wait for room on their backend
--   :feeder:ID         string with a TTL: the worker that starts the members of a batch
--   :links:ID          list: the links from a cancellation to members of batches, except the first
--   :places            hash, mark of a place -> the place in words
--   :sinks             set of the names of all sinks that ever had a position
--   :sink:NAME         hash, see sinks.lua
--   :owed:NAME         hash, stream id of an event that the position has passed and that is still to be delivered ->
--                      JSON [tries, when the next one is due (ms), since when it is refused (ms, 0 for never), its order key]
--   :again:NAME        stream of events that are to be delivered again, one field `event`; delivered ones are deleted
--   :clock             hash, see clock.lua; all times here are by it, except those in ids of stream entries
--   :at                hash, backend -> mark of its place, as the workers' backends file has it now
--   :server            hash, run_id of the Redis server and since when we know it

local base = string.match(KEYS[1], '^({.-})')
local CLASSES = {'ip', 'if', 'bp', 'bf'}
local LANES = {'i', 'b'}
local LEASES = {'i', 'b', 'r', 'x'} -- r: piggy-backed polls, x: a dead worker's open intents; they hold no permit

local function key(kind, name, part)
  if part then return base .. ':' .. kind .. ':' .. name .. ':' .. part end
  if name then return base .. ':' .. kind .. ':' .. name end
  return base .. ':' .. kind
end

local function clock()
  return (time_of_clock(key('clock')))
end

-- Over its memory limit, Redis refuses a script whose first write could use more memory. A script that has to run even then,
-- so that open work goes on, begins with a write that can't.
local function go_on_without_memory()
  redis.call('DEL', key('nothing'))
end
