-- Take in one part of a batch, once; with the last one the batch starts.
--
-- Includes batches
--
-- KEYS[1]  the events stream
-- ARGV     id, part, parts, digest, how many commands, how many of these are dry runs, the commands as they are kept, options (a
--          JSON object, or empty), who signed it, member starts a second that the signer may ask for (or empty), names of the
--          backends (a JSON array), for how long the batch is kept after its end (s)
-- Returns  ok; same, if nothing happened; or what is wrong: conflict, parts, closed
-- Events   started

local MOST_NAMES = 100 -- as in protocol/batches.py
local FORGOTTEN = 10 -- the oldest entries in the list of batches, from which each new batch removes those that have expired
local id, part, parts, digest = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local size, dry = tonumber(ARGV[5]), tonumber(ARGV[6])
local now = clock()

local function new_batch()
  for _, old in ipairs(redis.call('ZRANGE', key('batches'), 0, FORGOTTEN - 1)) do
    if redis.call('EXISTS', key('batch', old)) == 0 then redis.call('ZREM', key('batches'), old) end
  end
  redis.call('ZADD', key('batches'), now, id)
  redis.call('SET', key('batch', id), cjson.encode({
    f = BATCH_FORMAT, state = 'receiving', options = {max_open = 1000}, parts = parts, received = 0, selected = 0, dry = 0,
    cursor = 0, open = 0, rejected = 0, finished = {}, window = '', proven = 0, q = 0, told = now, created = now,
    keep = tonumber(ARGV[12]), backends = {},
  }))
  return load_batch(id)
end

local function note_backends(batch)
  local known = {}
  for _, name in ipairs(batch.backends) do known[name] = true end
  for _, name in ipairs(cjson.decode(ARGV[11])) do
    if not known[name] and #batch.backends < MOST_NAMES then table.insert(batch.backends, name) end
    known[name] = true
  end
end

local batch, newer = load_batch(id)
if newer then return 'closed' end
batch = batch or new_batch()
local known = redis.call('HGET', key('batchsizes', id), part)
if known then return string.sub(known, 1, #digest) == digest and 'same' or 'conflict' end
if batch.state ~= 'receiving' then return 'closed' end
if batch.parts ~= parts then return 'parts' end
redis.call('HSET', key('batchsizes', id), part, digest .. ' ' .. size .. ' ' .. ARGV[9])
redis.call('HSET', key('batchparts', id), part, ARGV[7])
batch.received, batch.selected, batch.dry = batch.received + 1, batch.selected + size, batch.dry + dry
if ARGV[8] ~= '' then batch.options = cjson.decode(ARGV[8]) end
if ARGV[10] ~= '' then batch.cap = math.min(batch.cap or math.huge, tonumber(ARGV[10])) end
note_backends(batch)
if batch.received == parts then
  batch.state, batch.started, batch.told, batch.tokens, batch.at = 'running', now, now, 1, now
  batch_event(batch, 'started', now, '"options":' .. cjson.encode(batch.options) .. ',')
end
save_batches(now)
return 'ok'
