-- Tell which cancellation a command id belongs to.
--
-- KEYS[1]  the events stream
-- ARGV     for how many days command ids are remembered, command id
-- Returns  the cancellation's id, or nil

local _, id = recall(ARGV[2], clock(), tonumber(ARGV[1]))
return id
