-- Return which cancellation a command id belongs to, or else when and in which event the command was rejected.
--
-- Includes commands
--
-- KEYS[1]  the events stream
-- ARGV     for how many days command ids are remembered, command id
-- Returns  the digest of its content and the cancellation's id; or two empty texts, when it was last rejected (ms)
--          and the id of that event; nothing for an unknown command

local now, days = clock(), tonumber(ARGV[1])
local digest, id = recall(ARGV[2], now, days)
if digest then return {digest, id} end
local at, event = recall(rejection_of(ARGV[2]), now, days)
return at and {'', '', at, event} or {}
