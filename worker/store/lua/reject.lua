-- Reject a command: one `rejected` event, and the message kept as a dead letter; once per content and id.
--
-- Includes events, commands, letters
--
-- KEYS[1]  the events stream
-- ARGV     for how many days the rejection is remembered, mark (names this rejection: the command's id and a digest),
--          backend ("" if unreadable), subject ("" if unreadable), data (a JSON object), message, reason,
--          whether an unverified sender sent it (1 or 0), how many bytes of such dead letters are kept at most
-- Returns  1, or 0 if this very rejection was made before
-- Events   rejected

local now, days = clock(), tonumber(ARGV[1])
local mark, backend, subject = ARGV[2], ARGV[3], ARGV[4]
local known, event = recall('rejected ' .. mark, now, days)
if not known then
  event = append_event('{"specversion":"1.0","id":"rejected-' .. redis.sha1hex(mark) .. '","source":' .. source(backend ~= '' and backend or 'unknown')
    .. ',"type":"canceller.cancellation.rejected.v1"' .. (subject ~= '' and ',"subject":' .. quote(subject) or '')
    .. ',"time":"' .. iso(now) .. '","datacontenttype":"application/json"'
    .. (backend ~= '' and ',"backend":' .. quote(backend) or '') .. ',"data":' .. ARGV[5] .. '}')
  keep_letter(ARGV[8] == '1' and 'unsigned' or nil, tonumber(ARGV[9]), {'reason', ARGV[7], 'raw', ARGV[6], 'mark', mark})
  remember('rejected ' .. mark, '0000000000000000', event, now, days)
end
-- Clients that wait for the command look up by its id when it was last rejected, and the event that says why.
remember(rejection_of(string.match(mark, '^(.*) ')), string.format('%016d', now), event, now, days)
return known and 0 or 1
