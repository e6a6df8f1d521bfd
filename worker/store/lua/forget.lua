-- Forget that a message was refused: the same message may be tried, and refused, again.
--
-- KEYS[1]  the events stream
-- ARGV     the refusal's mark, for how many days a refusal is remembered
-- Returns  how many memories of it there were

local week = math.floor(clock() / WEEK)

local function forget(name)
  local shard, field = command_slot(name)
  local forgotten = 0
  for back = 0, math.ceil(tonumber(ARGV[2]) / 7) do
    forgotten = forgotten + redis.call('HDEL', key('cmd', week - back, shard), field)
  end
  return forgotten
end

forget(refused(string.match(ARGV[1], '^(.*) ')))
return forget('rejected ' .. ARGV[1])
