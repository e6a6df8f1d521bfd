-- Refuse a command: one `rejected` event and the message kept as a dead letter, once per content and id.
--
-- KEYS[1]  the events stream
-- ARGV     for how many days the refusal is remembered, mark (names this refusal: the command's id and a digest),
--          backend ("" if unreadable), subject ("" if unreadable), data (a JSON object), message, reason,
--          whether a stranger sent it (1 or 0), how many bytes of such dead letters are kept at most
-- Returns  1, or 0 if this very refusal was made before
-- Events: rejected

local OVERHEAD = 160 -- bytes that a letter takes in Redis beside its texts, about
local AT_ONCE = 1000 -- letters that are let go for a new one: it keeps the script under a few milliseconds

local function size_of(fields)
  local size = OVERHEAD
  for _, text in ipairs(fields) do size = size + #text end
  return size
end

-- Keep a dead letter behind the others of its kind, and let go of the oldest of them. The field `before` says how many
-- bytes of letters came before one: the difference of two is what lies between them, or lay there until it was dropped.
local function bury(kind, most, fields)
  local name, other = key('dead', kind), key('dead', not kind and 'unsigned' or nil)
  local newest = redis.call('XREVRANGE', name, '+', '-', 'COUNT', 1)[1]
  local before = 0
  if newest and newest[2][1] == 'before' then before = tonumber(newest[2][2]) + size_of(newest[2]) end
  local id
  repeat -- a letter's id names it among those of both kinds
    if id then redis.call('XDEL', name, id) end
    id = redis.call('XADD', name, '*', 'before', string.format('%.0f', before), unpack(fields))
  until #redis.call('XRANGE', other, id, id) == 0
  local sum = before + size_of(fields)
  for _ = 1, AT_ONCE do
    local oldest = redis.call('XRANGE', name, '-', '+', 'COUNT', 1)[1]
    local since = oldest[2][1] == 'before' and tonumber(oldest[2][2]) or 0
    if oldest[1] == id or sum - since <= most then return end
    redis.call('XDEL', name, oldest[1])
  end
end

local now, days = clock(), tonumber(ARGV[1])
local mark, backend, subject = ARGV[2], ARGV[3], ARGV[4]
local known, event = recall('rejected ' .. mark, now, days)
if not known then
  event = append_event('{"specversion":"1.0","id":"rejected-' .. redis.sha1hex(mark) .. '","source":' .. source(backend ~= '' and backend or 'unknown')
    .. ',"type":"canceller.cancellation.rejected.v1"' .. (subject ~= '' and ',"subject":' .. quote(subject) or '')
    .. ',"time":"' .. iso(now) .. '","datacontenttype":"application/json"'
    .. (backend ~= '' and ',"backend":' .. quote(backend) or '') .. ',"data":' .. ARGV[5] .. '}')
  bury(ARGV[8] == '1' and 'unsigned' or nil, tonumber(ARGV[9]), {'reason', ARGV[7], 'raw', ARGV[6], 'mark', mark})
  remember('rejected ' .. mark, '0000000000000000', event, now, days)
end
-- Whoever waits for the command finds by its id when it was refused last, and the event that says why.
remember(refused(string.match(mark, '^(.*) ')), string.format('%016d', now), event, now, days)
return known and 0 or 1
