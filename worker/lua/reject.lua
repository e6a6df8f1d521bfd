-- Refuse a command: one `rejected` event and the raw message kept as a dead letter, once per content and id.
--
-- KEYS[1]  the events stream
-- ARGV     for how many days the refusal is remembered, mark (names this refusal: the command's id and a digest),
--          backend ("" if unreadable), subject ("" if unreadable), data (a JSON object), raw message, reason
-- Returns  1, or 0 if this very refusal was made before
-- Events: rejected

local now, days = clock(), tonumber(ARGV[1])
local mark, backend, subject = ARGV[2], ARGV[3], ARGV[4]
local known, event = recall('rejected ' .. mark, now, days)
if not known then
  event = append_event('{"specversion":"1.0","id":"rejected-' .. redis.sha1hex(mark) .. '","source":' .. source(backend ~= '' and backend or 'unknown')
    .. ',"type":"canceller.cancellation.rejected.v1"' .. (subject ~= '' and ',"subject":' .. quote(subject) or '')
    .. ',"time":"' .. iso(now) .. '","datacontenttype":"application/json"'
    .. (backend ~= '' and ',"backend":' .. quote(backend) or '') .. ',"data":' .. ARGV[5] .. '}')
  redis.call('XADD', key('dead'), '*', 'reason', ARGV[7], 'raw', ARGV[6], 'mark', mark)
  remember('rejected ' .. mark, '0000000000000000', event, now, days)
end
-- Whoever waits for the command finds by its id when it was refused last, and the event that says why.
remember(refused(string.match(mark, '^(.*) ')), string.format('%016d', now), event, now, days)
return known and 0 or 1
