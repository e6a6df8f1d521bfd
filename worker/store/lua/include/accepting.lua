-- Takes in a command: it opens a cancellation, or joins the open one of its job, once per command id.
--
-- Includes command_arguments, record, events, commands
-- On demand joining: join
-- On demand signatures: user_of, is_within_rate, note_use
--
-- Its verdict is accepted, joined, same (nothing happened), conflict (its id is another command's),
--   newer (it would join a record of a newer format, so a newer worker must take it),
--   replayed (its signature was used by another), or throttled (its producer has sent too many); the last two have no ID.

local noted = {} -- backends that this script has noted

local function note_backend(name, place)
  if noted[name] then return end
  redis.call('SADD', key('backends'), name)
  if place then redis.call('HSET', key('places'), place, places[place]) end
  noted[name] = true
end

local function open_cancellation(command, link_member)
  local later = begins(command)
  local from = later or now
  local guard = {
    y = command.y, ex = command.ex and {command.ex}, aa = command.at and {requester(command.said)},
    b = command.b, j = command.j, v = command.v, p = command.p, fa = command.fa, g = from + command.ga,
    l = command.l, s = command.s, sa = command.s ~= '' and now or nil, ss = signature(command), lo = command.lo,
    x = '', r = 0, a = now, q = 0, m = from + math.min(command.ga, command.wa), o = '',
    w = command.w, k = command.k, ad = command.ad, d = command.d, nb = later,
  }
  local cold = quote(command.c) .. '\n1\n' .. fixed(command.b, command.j) .. ',' .. command.said
  note_backend(command.b, command.d)
  redis.call('HSET', key('open', command.b), open_field(command, command.id), command.id)
  redis.call('ZADD', due_key(guard), from, command.id)
  if link_member then link_member(command.id, guard) end
  emit(command.id, guard, 'accepted', command.effective, '', now, cold)
  redis.call('MSET', key('cold', command.id), cold, key('hot', command.id), packed(guard, ''))
end

-- Take in a command and return "VERDICT ID". For a member of a batch `link_member(id, guard)` links its cancellation to it,
-- before the record is written.
local function take(command, link_member)
  local quiet = command.y and link_member -- a member of a plan leaves no command id behind
  local digest, known
  if not quiet then digest, known = recall(command.c, now, days) end
  if digest then return (digest == command.h and 'same ' or 'conflict ') .. known end
  local user_of, is_within_rate, note_use
  if command.sg then
    user_of, is_within_rate, note_use = signatures()
    if user_of(command.sg, now) then return 'replayed ' end
    if not is_within_rate(command.sp, command.sm, now) then return 'throttled ' end
  end
  local verdict = 'accepted'
  local id = not command.y and redis.call('HGET', key('open', command.b), open_field(command))
  local guard, progress
  if id then guard, progress = load(id) end
  if not guard and progress then return 'newer ' .. id end
  if guard and guard.o == '' then
    local join = joining()
    join(id, guard, progress, command, link_member)
    verdict = 'joined'
  else
    id = command.id
    open_cancellation(command, link_member)
  end
  if not quiet then remember(command.c, command.h, id, now, days, begins(command)) end
  if command.sg then note_use(command.sg, '1', now) end
  return verdict .. ' ' .. id
end
