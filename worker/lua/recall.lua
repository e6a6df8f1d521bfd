-- Tell which cancellation a command id belongs to.
--
-- KEYS[1]  the events stream
-- ARGV     for how many days command ids are remembered, command id
-- Returns  the digest of its content and the cancellation's id; nothing for one that is not known

return {recall(ARGV[2], clock(), tonumber(ARGV[1]))}
