-- The arguments of the scripts that take in commands, and what is read from them.
--
-- Includes keys
--
-- ARGV[1]  for how many days a command id is remembered
-- ARGV[2]  a JSON object, mark of a place -> the place in words
--
-- A command is a MessagePack map:
--   b j v p fa l s w k ad d nb y as in the guard, see record.lua
--   id   id for a new cancellation
--   c h  command id, digest of its content (16 characters)
--   ex   the state that it expects; absent for any
--   at   1: only others than the requesters may attest
--   lo   1: its wishes about the force step bind nobody else
--   rt   sinks that get the cancellation's events; absent for none. `said` ends with them, too
--   ga wa  give up after, warn after (ms)
--   said effective  insides of JSON objects for the events
--   sg sp sm  of a signed command: mark of its signature (absent for a member), producer, commands per minute or 0

local now, days, places = clock(), tonumber(ARGV[1]), cjson.decode(ARGV[2])

-- Return who asks, from the inside of a JSON object: the verified producer, else the name that they gave.
local function requester(said)
  local one = cjson.decode('{' .. said .. '}')
  local name = one.signed_by or one.requested_by
  return type(name) == 'string' and name or ''
end

-- Return when a command may be acted on, nil for at once; the times to give up and to warn count from then.
local function begins(command)
  return command.nb and command.nb > now and command.nb or nil
end

-- Return who signed the attestation in a command, as the guard's `ss`.
local function signature(command)
  return command.s ~= '' and command.sp and {command.sp, now} or nil
end
