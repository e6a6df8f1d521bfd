-- Try commands as the other scripts call them, and return those that Redis refuses.
--
-- KEYS[1]  the key under which all keys of the calls lie
-- ARGV     the calls: a JSON array of arrays of texts
-- Returns  for each call that Redis refuses: command, error

local refused = {}
for _, call in ipairs(cjson.decode(ARGV[1])) do
  local reply = redis.pcall(unpack(call))
  if type(reply) == 'table' and reply.err then
    refused[#refused + 1] = call[1]
    refused[#refused + 1] = reply.err
  end
end
return refused
