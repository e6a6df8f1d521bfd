-- Move messages from a broker's queue to this worker's own list in one step: at every moment a message is in one of them.
--
-- KEYS[1]  this worker's list of taken messages
-- KEYS[2]  the zset of consumers, name -> when it took last (s)
-- KEYS[3…] the queue's lists, the most urgent first
-- ARGV     this consumer, the most messages to take, about how many bytes to take, the clock's key, and each message that it
--          has settled
-- Returns  everything that this worker has taken and not yet settled, oldest last as in the queue

local left, room = tonumber(ARGV[2]), tonumber(ARGV[3])
for index = 5, #ARGV do redis.call('LREM', KEYS[1], -1, ARGV[index]) end
redis.call('ZADD', KEYS[2], math.floor(time_of_clock(ARGV[4]) / 1000), ARGV[1])
for index = 3, #KEYS do
  -- One command checks all other spellings, which are rarely in use.
  if index == 4 and left > 0 and redis.call('EXISTS', unpack(KEYS, 4)) == 0 then break end
  -- A key with another spelling of the queue's name may belong to somebody else and be no list.
  local move = index == 3 and redis.call or redis.pcall
  while left > 0 and room > 0 do
    local message = move('LMOVE', KEYS[index], KEYS[1], 'RIGHT', 'LEFT')
    if type(message) ~= 'string' then break end
    left, room = left - 1, room - #message
  end
end
return redis.call('LRANGE', KEYS[1], 0, -1)
