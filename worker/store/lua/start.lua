-- Start the next members of a batch: accept their commands and move its cursor past those that were started, all in one step.
--
-- Includes accepting, batches, turns
--
-- KEYS[1]  the events stream
-- ARGV[1] ARGV[2]  and the commands: see command_arguments.lua
-- ARGV[3]  a MessagePack map: id, cursor (index of the first of these members), worker, lease (for how long that worker has the
--          batch, ms), rooms (backend -> how many first passes of its batch lane may wait); with of (a backend) and
--          indexes, the members are not those at the cursor, but the first ones of that backend that were passed
-- ARGV[4…] one command each; one that is rejected has only c, and er: why
-- Returns one "VERDICT ID" for each member that was started, perhaps fewer than were given. Further verdicts are rejected (no
--   ID), and passed (no ID) for a member that waits for room on its backend while others go on. The last one may be on a
--   member that was not started: conflict, or broken (what went wrong in place of an ID). That member has to be rejected with
--   an event before it is given again, with `er`.
-- Events   accepted, joined, attestation_void, those of a batch

-- Count a member whose command was sent before: when its cancellation ends, or now if it has.
local function count_same(id, batch, index)
  local guard, progress = load(id)
  if not guard and progress then return false end
  if not guard then
    count_end(batch, index, {o = 'rejected', c = id, er = 'command_id: its cancellation is past its retention'}, now)
  elseif guard.o == '' then
    link(id, guard, batch, index)
    save(id, guard, progress)
  else
    local event = guard.z and redis.call('XRANGE', KEYS[1], guard.z, guard.z)[1]
    count_end(batch, index, result_of(id, guard.o, event and cjson.decode(event[2][2]).data or {}), now)
  end
  return true
end

-- Start a member of a batch; return its verdict, nil if it may not start now, and true if it has to be rejected first.
local function start(batch, command, rooms, index, of)
  if startable(batch, now) < 1 then return nil end
  local verdict = 'rejected '
  if command.er then
    move(batch, of, 1)
    count_end(batch, index, {o = 'rejected', er = command.er}, now)
  else
    local full = is_full(batch, command.b, rooms, now)
    if full and of then return nil end
    if full or (batch.passed[command.b] and not of) then return pass(batch, command.b, now) end
    move(batch, of, 1)
    verdict = take(command, function(id, guard) link(id, guard, batch, index) end)
    local name, id = string.match(verdict, '^(%w+) (.*)$')
    if name == 'newer' or (name == 'same' and not count_same(id, batch, index)) then
      move(batch, of, -1)
      return nil
    end
    if name == 'conflict' then
      move(batch, of, -1)
      return verdict, true
    end
    batch.full[command.b] = nil
    if name == 'accepted' and not begins(command) then waits_now(command.b) end
  end
  batch.news = 1
  if batch.tokens then batch.tokens = batch.tokens - 1 end
  return verdict
end

-- The same, but an error, such as an open cancellation that can't be read, stops no other member.
local function try_to_start(batch, command, rooms, index, of)
  if command.er then return start(batch, command, rooms, index, of) end
  local cursor, count = batch.cursor, of and batch.passed[of]
  local done, verdict, left = pcall(start, batch, command, rooms, index, of)
  if done then return verdict, left end
  batch.cursor = cursor
  if of then batch.passed[of] = count end
  return 'broken ' .. string.sub(tostring(verdict), 1, 200), true
end

local step = cmsgpack.unpack(ARGV[3])
local batch, verdicts, moved = load_batch(step.id), {}, 0
if not batch or not is_next(batch, step) then return verdicts end
lend(step.id, step.worker, step.lease) -- the first write: over its memory limit Redis refuses all of this here
for number = 1, #ARGV - 3 do
  local index = step.of and step.indexes[number] or batch.cursor
  local verdict, left = try_to_start(batch, cmsgpack.unpack(ARGV[number + 3]), step.rooms, index, step.of)
  verdicts[#verdicts + 1] = verdict
  if left or not verdict then break end
  moved = number
end
note_turns(step, moved)
save_batches(now)
return verdicts
