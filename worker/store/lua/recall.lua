-- Tell which cancellation a command id belongs to, or else when and by which event the command was refused.
--
-- KEYS[1]  the events stream
-- ARGV     for how many days command ids are remembered, command id
-- Returns  the digest of its content and the cancellation's id; or two empty texts, when it was refused last (ms) and
--          the id of that event; nothing for a command that is not known

local now, days = clock(), tonumber(ARGV[1])
local digest, id = recall(ARGV[2], now, days)
if digest then return {digest, id} end
local at, event = recall(refused(ARGV[2]), now, days)
return at and {'', '', at, event} or {}
