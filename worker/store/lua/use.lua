-- Use up an order's signature; the same message may come again.
--
-- KEYS[1]  the events stream
-- ARGV     mark of the signature, id of the message, producer, its commands per minute or 0
-- Returns  ok, replayed, or throttled

local now = clock()
local user = used_by(ARGV[1], now)
if user then return user == ARGV[2] and 'ok' or 'replayed' end
if not within(ARGV[3], tonumber(ARGV[4]), now) then return 'throttled' end
use(ARGV[1], ARGV[2], now)
return 'ok'
