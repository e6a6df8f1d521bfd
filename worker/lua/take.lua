-- Take messages off a broker's queue into this worker's own list, in one step: no message is ever in no list.
--
-- KEYS[1]  this worker's list of taken messages
-- KEYS[2…] the queue's lists, the most urgent first
-- ARGV[1]  how many to take at most
-- Returns  everything that this worker has taken and not yet settled, oldest last as in the queue

local left = tonumber(ARGV[1])
for index = 2, #KEYS do
  while left > 0 and redis.call('LMOVE', KEYS[index], KEYS[1], 'RIGHT', 'LEFT') do left = left - 1 end
end
return redis.call('LRANGE', KEYS[1], 0, -1)
