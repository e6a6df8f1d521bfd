-- What dead workers had claimed.
--
-- Includes keys, record

local function release_claim(id, guard)
  redis.call('HDEL', key('claims', guard.b), id)
  if redis.call('ZREM', key('lease', guard.b, guard.l), id) == 1 then return end
  for _, lane in ipairs(LEASES) do redis.call('ZREM', key('lease', guard.b, lane), id) end
end

local alive = {}
local function is_alive(worker)
  if alive[worker] == nil then alive[worker] = redis.call('ZSCORE', key('workers'), worker) ~= false end
  return alive[worker]
end

-- Free the records that dead workers had claimed on a backend: they go to the front of the schedule. A record with an open
-- intent keeps its whole lease, because that call may still be on its way, but no longer holds one of the backend's permits.
local function free_dead_claims(backend)
  local claims = redis.call('HGETALL', key('claims', backend))
  for index = 1, #claims, 2 do
    local id, owner = claims[index], string.match(claims[index + 1], '^(.-)/')
    if not is_alive(owner) then
      local guard = load(id)
      if guard and not guard.i then
        release_claim(id, guard)
        redis.call('ZADD', due_key(guard), guard.a, id)
      elseif guard then
        for _, lane in ipairs(LANES) do
          local ends = redis.call('ZSCORE', key('lease', backend, lane), id)
          if ends then
            redis.call('ZREM', key('lease', backend, lane), id)
            redis.call('ZADD', key('lease', backend, 'x'), ends, id)
          end
        end
      end
    end
  end
end
