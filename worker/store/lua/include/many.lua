-- Commands on many keys or values at a time.
--
-- Includes keys

local SLICE = 1000 -- the most values that one command gets: Lua's stack holds only a few thousand

-- Call a command on one key with any number of values, an even number at a time; return the sum of its replies.
local function call_many(command, name, values)
  local sum = 0
  for first = 1, #values, SLICE do
    sum = sum + redis.call(command, name, unpack(values, first, math.min(first + SLICE - 1, #values)))
  end
  return sum
end

-- Write many values: key, value, …
local function write_many(values)
  for first = 1, #values, SLICE do redis.call('MSET', unpack(values, first, math.min(first + SLICE - 1, #values))) end
end

-- Return the stored values of many ids, by kind (hot, cold), in their order; false for none.
local function values_of(kind, ids)
  local found = {}
  for first = 1, #ids, SLICE do
    local keys = {}
    for index = first, math.min(first + SLICE - 1, #ids) do keys[#keys + 1] = key(kind, ids[index]) end
    for _, value in ipairs(redis.call('MGET', unpack(keys))) do found[#found + 1] = value end
  end
  return found
end

-- Writes that many records share: one command per key at the end of the script, instead of one per record.
local deferred, deferred_order = {}, {}

local function defer(command, name, value, second)
  local slot = command .. ' ' .. name
  if not deferred[slot] then
    deferred[slot] = {command = command, name = name, values = {}}
    deferred_order[#deferred_order + 1] = slot
  end
  table.insert(deferred[slot].values, value)
  if second then table.insert(deferred[slot].values, second) end
end

local function run_deferred()
  for _, slot in ipairs(deferred_order) do
    call_many(deferred[slot].command, deferred[slot].name, deferred[slot].values)
  end
end
