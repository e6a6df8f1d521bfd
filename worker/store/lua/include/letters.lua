-- Dead letters.
--
-- Includes keys

local OVERHEAD = 160 -- about how many bytes a letter takes in Redis besides its texts
local AT_ONCE = 1000 -- the most letters that are deleted for a new one, so that the script takes a few milliseconds at most

local function size_of(fields)
  local size = OVERHEAD
  for _, text in ipairs(fields) do size = size + #text end
  return size
end

-- Append a dead letter to the others of its kind, and delete the oldest ones over the limit. The field `before` of a letter
-- counts the bytes of all letters before it, so two of them show how many bytes lie between, deleted ones included.
local function keep_letter(kind, most, fields)
  local name, other = key('dead', kind), key('dead', not kind and 'unsigned' or nil)
  local newest = redis.call('XREVRANGE', name, '+', '-', 'COUNT', 1)[1]
  local before = 0
  if newest and newest[2][1] == 'before' then before = tonumber(newest[2][2]) + size_of(newest[2]) end
  local id
  repeat -- an id names one letter in both streams
    if id then redis.call('XDEL', name, id) end
    id = redis.call('XADD', name, '*', 'before', string.format('%.0f', before), unpack(fields))
  until #redis.call('XRANGE', other, id, id) == 0
  local sum = before + size_of(fields)
  for _ = 1, AT_ONCE do
    local oldest = redis.call('XRANGE', name, '-', '+', 'COUNT', 1)[1]
    local since = oldest[2][1] == 'before' and tonumber(oldest[2][2]) or 0
    if oldest[1] == id or sum - since <= most then return end
    redis.call('XDEL', name, oldest[1])
  end
end
