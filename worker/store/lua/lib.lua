-- What every script of the store shares; the loader puts it in front of each, behind the clock.
--
-- Every key lies under the hash tag of KEYS[1], so one deployment is one slot of a cluster:
--   :events            stream of CloudEvents, one field `event`
--   :dead              stream of dead letters; :dead:unsigned is that of strangers', where it is known who may send
--   :hot:ID            "guard JSON \n progress" of a cancellation; scripts own the guard, passes own the progress
--   :cold:ID           "command ids \n their number \n fixed fields", JSON fragments for its events
--   :backends          set of the names of all backends that ever had one
--   :open:BACKEND      hash, job id, and its address behind "\31" if it has one -> id of its open cancellation; a dry run
--                      is there under its own id, behind "\30"
--   :due:BACKEND:LP    zset, id -> due time (ms); L = i(nteractive) or b(atch), P = f(irst pass) or p(oll)
--   :park:BACKEND:L    zset, id -> time of the next thing that matters, while the backend is paused
--   :lease:BACKEND:L   zset, id -> end of its lease (ms); L also r and x, which hold no permit: polls that ride along,
--                      and a dead worker's open intents
--   :claims:BACKEND    hash, id -> claim token, "WORKER/...", with "/noted" at its end if the claim noted an intent,
--                      "/rides" if it holds no permit
--   :limit:BACKEND     hash, rate limiter: tokens, at, and which class of each lane went first: turni, turnb
--   :breaker:BACKEND   hash: fails, open, until, ramp
--   :cmd:WEEK:SHARD    hash, digest of a command id -> "digest of its content" .. id of its cancellation; also of
--                      "rejected MARK" -> .. id of its event, and of `refused(command id)` -> "when, ms" .. id of its event;
--                      WEEK is "later" for a command that may not be acted on yet, which outlives its week
--   :submit:ID         string with a TTL: how many commands a `worker.submit` has, or -1 if some have ids of their own
--   :workers           zset, worker -> when its beat ends (ms)
--   :serves            zset, backend -> when the last beat of a worker that serves it ends, or has ended (ms)
--   :handovers         set of the names of all backends that ever had one of the next
--   :handover:BACKEND  hash, digest -> a command that is left to workers that can take it in
--   :signed:HOUR:SHARD hash, mark of a signature -> what used it; no token lives longer than an hour
--   :minute:MINUTE     hash, producer -> its commands in that minute
--   :places            hash, mark of a place -> the place in words: what is called where
--   :clock             hash, see clock.lua; all times below are by it, but those in ids of stream entries
--   :at                hash, backend -> mark of its place, as the workers' backends file has it now
--   :server            hash, run_id of the Redis server and since when we know it
--
-- The guard: f(ormat) b(ackend) j(ob id) v(erb) p(olicy of force) fa (force after, s) g(ive up at, ms) l(ane)
--   lo (1: p and fa are the wishes of commands that may not bind others)
--   s(topped, by whom) sa (when that was said, ms) sc (the same of children: job id -> {by whom, ms})
--   ss ({who signed it, ms}; holds for the word of that time) scs (the same of children)
--   x (aborted, by whom) xa (the same as an action: by, signed_by, reason) r(evision) a(ccepted at, ms) q (sequence) n (after the first pass: POLL, or ALONE)
--   i (with an open intent: 1, or when a claim noted it for a first cancel, ms)
--   m (when something matters without a call, ms) o(utcome) e(nded at, ms) z (its last event's id)
--   w (traceparent) k (params) ad (address: what beside the id addresses the job, if anything does)
--   d (mark of the backend's place when this was accepted)
--   nb (no call before it, ms; absent if the first may be made at once)
--   h (a hold, see holds.lua) hs (for how long earlier holds have lasted, ms)
--   y (1: a dry run) ex (states in which the job may be touched first, in the backend's words; absent if in any)
--   aa (who has asked for it; present where only another may attest) an (who has attested then: "" or child -> name)
-- Format 2 is that of records with h, hs, y, ex or aa, which older workers must leave alone; all others have format 1.

local base = string.match(KEYS[1], '^({.-})')
local FORMAT = 2
local CLASSES = {'ip', 'if', 'bp', 'bf'}
local LANES = {'i', 'b'}
local POLL, ALONE = 1, 2 -- what the next pass is after the first: a poll that may ride along, one that may not
local LEASES = {'i', 'b', 'r', 'x'} -- r: polls that ride along, x: a dead worker's open intents; they hold no permit

local function iso(ms)
  local days, rest = math.floor(ms / 86400000), ms % 86400000
  -- civil date from days since 1970-01-01, with years that start in March
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(rest / 3600000), math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60, rest % 1000)
end

local function key(kind, name, part)
  if part then return base .. ':' .. kind .. ':' .. name .. ':' .. part end
  if name then return base .. ':' .. kind .. ':' .. name end
  return base .. ':' .. kind
end

-- Read a record: its guard, its progress and its whole value; nil for none. Of one of a newer format only its guard, second.
local function read(value)
  if not value then return nil end
  local stop = string.find(value, '\n', 1, true)
  local guard = cjson.decode(string.sub(value, 1, stop - 1))
  if guard.f > FORMAT then return nil, guard, nil end
  return guard, string.sub(value, stop + 1), value
end

local function clock()
  return (time_of_clock(key('clock')))
end

local function load(id)
  return read(redis.call('GET', key('hot', id)))
end

local SLICE = 1000 -- how many values one command gets at most: Lua can't hand over more than some thousands

-- Call a command on one key with any number of values, an even number at a time; return the sum of what it answers.
local function call_many(command, name, values)
  local sum = 0
  for first = 1, #values, SLICE do
    sum = sum + redis.call(command, name, unpack(values, first, math.min(first + SLICE - 1, #values)))
  end
  return sum
end

-- Write many values: key, value, …
local function write_many(values)
  for first = 1, #values, SLICE do redis.call('MSET', unpack(values, first, math.min(first + SLICE - 1, #values))) end
end

-- Return what is stored of many ids, by kind (hot, cold), in their order; false for none.
local function stored(kind, ids)
  local found = {}
  for first = 1, #ids, SLICE do
    local keys = {}
    for index = first, math.min(first + SLICE - 1, #ids) do keys[#keys + 1] = key(kind, ids[index]) end
    for _, value in ipairs(redis.call('MGET', unpack(keys))) do found[#found + 1] = value end
  end
  return found
end

-- Writes that many records share: one command for each key at the end of the script, in place of one for each record.
local shared, shared_order = {}, {}

local function later(command, name, value, second)
  local slot = command .. ' ' .. name
  if not shared[slot] then
    shared[slot] = {command = command, name = name, values = {}}
    shared_order[#shared_order + 1] = slot
  end
  table.insert(shared[slot].values, value)
  if second then table.insert(shared[slot].values, second) end
end

local function settle()
  for _, slot in ipairs(shared_order) do call_many(shared[slot].command, shared[slot].name, shared[slot].values) end
end

-- Return a record as it is stored, in the lowest format that has all that it holds.
local function packed(guard, progress)
  guard.f = (guard.h or guard.hs or guard.y or guard.ex or guard.aa) and 2 or 1
  return cjson.encode(guard) .. '\n' .. progress
end

-- Write a record and return it; `keep` is the seconds after which it is forgotten.
local function save(id, guard, progress, keep)
  local value = packed(guard, progress)
  if keep then redis.call('SET', key('hot', id), value, 'EX', keep) else redis.call('SET', key('hot', id), value) end
  return value
end

-- Name a job in the hash of what is open; `one` is a guard, or a command with the same fields. A dry run stands for itself.
local function open_field(one, id)
  if one.y then return '\30' .. id end
  return one.ad and one.j .. '\31' .. one.ad or one.j
end

local function due_key(guard)
  return key('due', guard.b, guard.l .. (guard.n and 'p' or 'f'))
end

local function unschedule(id, guard)
  for _, class in ipairs(CLASSES) do redis.call('ZREM', key('due', guard.b, class), id) end
  for _, lane in ipairs(LANES) do redis.call('ZREM', key('park', guard.b, lane), id) end
end

-- Redis over its memory limit refuses a script's first write unless it is one that can't grow anything; what is
-- open must go on then, so such a script starts with one.
local function go_on_without_memory()
  redis.call('DEL', key('nothing'))
end

-- Put a record back among what is due, also one of a newer format, which only newer workers may claim.
local function requeue(id, now)
  local guard, newer = load(id)
  if guard and guard.o == '' then redis.call('ZADD', due_key(guard), now, id) end
  if not guard and newer then redis.call('ZADD', due_key(newer), now + 60000, id) end
end

-- What a worker left lying had its turn already: it goes before all that came due since.
local function requeue_first(id, now)
  local guard = load(id)
  requeue(id, guard and guard.a or now)
end

local function claimed(id, guard)
  return redis.call('HEXISTS', key('claims', guard.b), id) == 1
end

-- Make a waiting record due at once. A claimed one is left: its pass will see the new revision.
local function hurry(id, guard, now)
  if claimed(id, guard) then return end
  local due = tonumber(redis.call('ZSCORE', due_key(guard), id) or now)
  unschedule(id, guard)
  redis.call('ZADD', due_key(guard), math.min(now, due), id)
end

local function release(id, guard)
  redis.call('HDEL', key('claims', guard.b), id)
  if redis.call('ZREM', key('lease', guard.b, guard.l), id) == 1 then return end
  for _, lane in ipairs(LEASES) do redis.call('ZREM', key('lease', guard.b, lane), id) end
end

local alive = {}
local function lives(worker)
  if alive[worker] == nil then alive[worker] = redis.call('ZSCORE', key('workers'), worker) ~= false end
  return alive[worker]
end

-- Give back what dead workers had claimed on a backend: at once, before all that came due since, but for an open intent:
-- that call may still be on its way, so it keeps its whole lease, though no longer one of the backend's permits.
local function free_dead_claims(backend)
  local claims = redis.call('HGETALL', key('claims', backend))
  for index = 1, #claims, 2 do
    local id, owner = claims[index], string.match(claims[index + 1], '^(.-)/')
    if not lives(owner) then
      local guard = load(id)
      if guard and not guard.i then
        release(id, guard)
        redis.call('ZADD', due_key(guard), guard.a, id)
      elseif guard then
        for _, lane in ipairs(LANES) do
          local ends = redis.call('ZSCORE', key('lease', backend, lane), id)
          if ends then
            redis.call('ZREM', key('lease', backend, lane), id)
            redis.call('ZADD', key('lease', backend, 'x'), ends, id)
          end
        end
      end
    end
  end
end

local function append_event(event)
  return redis.call('XADD', KEYS[1], '*', 'event', event)
end

local function quote(text)
  return (string.gsub(cjson.encode(text), '\\/', '/'))
end

-- What every event of a cancellation carries at least.
local function fixed(backend, job_id)
  return '"backend":"' .. backend .. '","job_id":' .. quote(job_id)
end

local sources = {}
local function source(backend)
  sources[backend] = sources[backend] or quote('/' .. string.sub(base, 2, -2) .. '/' .. backend)
  return sources[backend]
end

-- A script's events mostly carry one and the same time.
local written_ms, written
local function time_of(ms)
  if ms ~= written_ms then written_ms, written = ms, iso(ms) end
  return written
end

-- Append one event of a cancellation. `extra` is the inside of a JSON object, or empty. Counts the sequence in
-- the guard, which the caller saves; `cold` spares the reading of that part. Returns the event's id in the stream.
local function emit(id, guard, name, extra, outcome, now, cold)
  guard.q = guard.q + 1
  cold = cold or redis.call('GET', key('cold', id)) or ''
  local ids, count, told = string.match(cold, '^([^\n]*)\n([^\n]*)\n(.+)$')
  if not ids then ids, count, told = '', 0, fixed(guard.b, guard.j) end
  return append_event('{"specversion":"1.0","id":"' .. id .. '-' .. guard.q .. '","source":' .. source(guard.b)
    .. ',"type":"canceller.cancellation.' .. name .. '.v1","subject":' .. quote(guard.j)
    .. ',"time":"' .. time_of(now) .. '","datacontenttype":"application/json","backend":"' .. guard.b
    .. '","cancellationid":"' .. id .. '"' .. (outcome ~= '' and ',"outcome":"' .. outcome .. '"' or '')
    .. ',"sequence":"' .. string.format('%010d', guard.q) .. '","sequencetype":"Integer"' .. (guard.w and ',"traceparent":' .. quote(guard.w) or '')
    .. ',"data":{"cancellation_id":"' .. id .. '","command_ids":[' .. ids
    .. (tonumber(count) > 100 and '],"command_ids_total":' .. count .. ',' or '],')
    .. told .. ',"verb":"' .. guard.v .. (extra ~= '' and '",' or '"') .. extra .. '}}')
end

-- Command ids are kept in small hashes, by week and shard, so that they stay compact and expire together.
local WEEK = 7 * 86400000
local FARTHEST = 31 -- days for which a command may have to wait for its time, and one more

local placed, place_shard, place_field -- the command id that was asked for last

local function command_slot(command_id)
  if command_id ~= placed then
    local digest = redis.sha1hex(command_id)
    placed, place_shard, place_field = command_id, string.sub(digest, 1, 4), string.sub(digest, 5, 28)
  end
  return place_shard, place_field
end

local function recall(command_id, now, days)
  local shard, field = command_slot(command_id)
  for week = math.floor(now / WEEK), math.floor((now - days * 86400000) / WEEK), -1 do
    local value = redis.call('HGET', key('cmd', week, shard), field)
    if value then return string.sub(value, 1, 16), string.sub(value, 17) end
  end
  local value = redis.call('HGET', key('cmd', 'later', shard), field)
  if value then return string.sub(value, 1, 16), string.sub(value, 17) end
  return nil
end

local function remember(command_id, digest, id, now, days, later)
  local shard, field = command_slot(command_id)
  if later then
    local slot = key('cmd', 'later', shard)
    redis.call('HSET', slot, field, digest .. id)
    redis.call('EXPIRE', slot, (FARTHEST + days) * 86400)
    return
  end
  local slot = key('cmd', math.floor(now / WEEK), shard)
  redis.call('HSET', slot, field, digest .. id)
  if redis.call('HLEN', slot) == 1 then redis.call('EXPIRE', slot, (math.ceil(days / 7) + 1) * 7 * 86400) end
end

-- Under which name the refusal of a command is remembered; no command id holds a control character.
local function refused(command_id)
  return 'refused\0' .. command_id
end

-- A signature is remembered while its token could still be valid: an hour at most, and an hour for lagging clocks.
local function signature_slot(mark, now, back)
  local shard, field = command_slot(mark)
  return key('signed', math.floor(now / 3600000) - back, shard), field
end

local function used_by(mark, now)
  for back = 0, 2 do
    local slot, field = signature_slot(mark, now, back)
    local user = redis.call('HGET', slot, field)
    if user then return user end
  end
  return nil
end

local function use(mark, user, now)
  local slot, field = signature_slot(mark, now, 0)
  redis.call('HSET', slot, field, user)
  redis.call('EXPIRE', slot, 3 * 3600)
end

-- Count one more command of a producer; return whether it is within its commands per minute (0: any number).
local function within(producer, per_minute, now)
  if per_minute == 0 then return true end
  local slot = key('minute', math.floor(now / 60000))
  local count = redis.call('HINCRBY', slot, producer, 1)
  redis.call('EXPIRE', slot, 120)
  return count <= per_minute
end
