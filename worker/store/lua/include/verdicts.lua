-- What passes find out about each backend as a whole opens or closes its breaker. See breaker.lua.
--
-- Includes keys, events
--
-- Events  canceller.backend.paused.v1, canceller.backend.resumed.v1

local function backend_event(backend, name, data, now)
  append_event('{"specversion":"1.0","id":"' .. backend .. '-' .. name .. '-' .. now .. '","source":' .. source(backend)
    .. ',"type":"canceller.backend.' .. name .. '.v1","subject":"' .. backend .. '","time":"' .. iso(now)
    .. '","datacontenttype":"application/json","backend":"' .. backend .. '","data":{"backend":"' .. backend .. '"' .. data .. '}}')
end

local sound = {} -- backends that this script knows to have no record of a breaker

local function note_success(backend, now)
  if sound[backend] then return end
  local breaker = key('breaker', backend)
  local state = redis.call('HMGET', breaker, 'fails', 'open', 'ramp')
  if not state[1] then
    sound[backend] = true
    return
  end
  if state[2] == '1' then
    redis.call('HSET', breaker, 'fails', 0, 'open', 0, 'ramp', 2)
    backend_event(backend, 'resumed', '', now)
  elseif state[3] and tonumber(state[3]) < 1024 then
    redis.call('HSET', breaker, 'fails', 0, 'ramp', tonumber(state[3]) + 1)
  else
    redis.call('DEL', breaker)
  end
end

local function note_failure(backend, most_failures, pause, now)
  sound[backend] = nil
  local breaker = key('breaker', backend)
  local fails = redis.call('HINCRBY', breaker, 'fails', 1)
  local state = redis.call('HMGET', breaker, 'open', 'until')
  if fails < most_failures or (tonumber(state[2]) or 0) > now then return end
  redis.call('HSET', breaker, 'open', 1, 'until', now + pause)
  if state[1] ~= '1' then
    backend_event(backend, 'paused', ',"failures":' .. fails .. ',"until":"' .. iso(now + pause) .. '"', now)
  end
end

-- Note a pass's verdict on a backend: "ok", "bad:FAILURES:PAUSE_MS", or "" for none.
local function note_verdict(backend, verdict, now)
  if verdict == 'ok' then return note_success(backend, now) end
  local failures, pause = string.match(verdict, '^bad:(%d+):(%d+)$')
  if failures then note_failure(backend, tonumber(failures), tonumber(pause), now) end
end
