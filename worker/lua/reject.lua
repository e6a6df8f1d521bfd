-- Refuse a command: one `rejected` event and the raw message kept as a dead letter, once per content and id.
--
-- KEYS[1]  the events stream
-- ARGV     for how many days the refusal is remembered, mark (names this refusal), backend ("" if unreadable),
--          subject ("" if unreadable), data (a JSON object), raw message, reason
-- Returns  1, or 0 if this very refusal was made before
-- Events: rejected

local now, days = clock(), tonumber(ARGV[1])
local mark, backend, subject = ARGV[2], ARGV[3], ARGV[4]
if recall('rejected ' .. mark, now, days) then return 0 end
remember('rejected ' .. mark, '0000000000000000', '', now, days)
append_event('{"specversion":"1.0","id":"rejected-' .. redis.sha1hex(mark) .. '","source":' .. source(backend ~= '' and backend or 'unknown')
  .. ',"type":"canceller.cancellation.rejected.v1"' .. (subject ~= '' and ',"subject":' .. quote(subject) or '')
  .. ',"time":"' .. iso(now) .. '","datacontenttype":"application/json"'
  .. (backend ~= '' and ',"backend":' .. quote(backend) or '') .. ',"data":' .. ARGV[5] .. '}')
redis.call('XADD', key('dead'), '*', 'reason', ARGV[7], 'raw', ARGV[6], 'mark', mark)
return 1
