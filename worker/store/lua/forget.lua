-- Forget that a message was rejected: the same message may be tried, and rejected, again.
--
-- Includes commands
--
-- KEYS[1]  the events stream
-- ARGV     the rejection's mark, for how many days a rejection is remembered
-- Returns  how many notes of it were deleted

local week = math.floor(clock() / WEEK)

local function forget(name)
  local shard, field = command_slot(name)
  local forgotten = 0
  for back = 0, math.ceil(tonumber(ARGV[2]) / 7) do
    forgotten = forgotten + redis.call('HDEL', key('cmd', week - back, shard), field)
  end
  return forgotten
end

forget(rejection_of(string.match(ARGV[1], '^(.*) ')))
return forget('rejected ' .. ARGV[1])
