-- The event stream. Events are CloudEvents, written as text.
--
-- Includes keys

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

local function append_event(event)
  return redis.call('XADD', KEYS[1], '*', 'event', event)
end

local function quote(text)
  return (string.gsub(cjson.encode(text), '\\/', '/'))
end

-- The fields that every event of a cancellation carries at least.
local function fixed(backend, job_id)
  return '"backend":"' .. backend .. '","job_id":' .. quote(job_id)
end

local function percent(byte)
  return string.format('%%%02X', string.byte(byte))
end

-- Return a text as a part of a URI's path (RFC 3986, 3.3). A slash at its start would begin a host.
local function as_path(text)
  return (string.gsub(string.gsub(text, "[^A-Za-z0-9%-._~!$&'()*+,;=:@/]", percent), '^/', percent))
end

-- The `source` of events is a URI-reference.
local sources = {}
local function source(backend)
  sources[backend] = sources[backend] or quote('/' .. as_path(string.sub(base, 2, -2)) .. '/' .. as_path(backend))
  return sources[backend]
end

-- Nearly all events of one script have the same time.
local written_ms, written
local function time_of(ms)
  if ms ~= written_ms then written_ms, written = ms, iso(ms) end
  return written
end

-- Return the `data` of an event about a cancellation. `extra` is the inside of a JSON object, or empty; `cold`, if given,
-- saves a read of that part.
local function data_of(id, guard, extra, cold)
  cold = cold or redis.call('GET', key('cold', id)) or ''
  local ids, count, fields = string.match(cold, '^([^\n]*)\n([^\n]*)\n(.+)$')
  if not ids then ids, count, fields = '', 0, fixed(guard.b, guard.j) end
  return '{"cancellation_id":"' .. id .. '","command_ids":[' .. ids
    .. (tonumber(count) > 100 and '],"command_ids_total":' .. count .. ',' or '],')
    .. fields .. ',"verb":"' .. guard.v .. (extra ~= '' and '",' or '"') .. extra .. '}'
end

-- Append one event of a cancellation and count it in the guard, which the caller saves. Return the event's id in the stream.
-- A dry run in a batch has no events: its result is in the batch.
local function emit(id, guard, name, extra, outcome, now, cold)
  guard.q = guard.q + 1
  if guard.y and guard.bt then return '' end
  return append_event('{"specversion":"1.0","id":"' .. id .. '-' .. guard.q .. '","source":' .. source(guard.b)
    .. ',"type":"canceller.cancellation.' .. name .. '.v1","subject":' .. quote(guard.j)
    .. ',"time":"' .. time_of(now) .. '","datacontenttype":"application/json","backend":"' .. guard.b
    .. '","cancellationid":"' .. id .. '"' .. (outcome ~= '' and ',"outcome":"' .. outcome .. '"' or '')
    .. ',"sequence":"' .. string.format('%010d', guard.q) .. '","sequencetype":"Integer"' .. (guard.w and ',"traceparent":' .. quote(guard.w) or '')
    .. ',"data":' .. data_of(id, guard, extra, cold) .. '}')
end
