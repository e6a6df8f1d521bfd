-- Use up the signature of an operator's action; the same message may be redelivered.
--
-- Includes signatures
--
-- KEYS[1]  the events stream
-- ARGV     mark of the signature, id of the message, producer, its commands per minute or 0
-- Returns  ok, replayed, or throttled

local now = clock()
local user = user_of(ARGV[1], now)
if user then return user == ARGV[2] and 'ok' or 'replayed' end
if not is_within_rate(ARGV[3], tonumber(ARGV[4]), now) then return 'throttled' end
note_use(ARGV[1], ARGV[2], now)
return 'ok'
