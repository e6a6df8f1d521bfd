-- Note how far the deliveries to a sink have come, and renew its lease.
--
-- Includes sinks, many
--
-- KEYS[1]  the events stream
-- ARGV     sink, worker, number of its lease, life of the lease (ms; 0 gives it back), and a MessagePack map:
--   p  position
--   o  the oldest event that is owed from now on, "" for none
--   w  events that are newly owed, or that are tried again later: stream id, value, …
--   x  events that are owed no more: stream ids
--   a  replays that are done: ids in `:again:NAME`
--   n  how many events were delivered since the last note
--   e  what went wrong since then; absent for nothing
-- Returns  {now (ms), 1}, or {now (ms), 0} if the lease is another's: then nothing was written

local sink, life = ARGV[1], tonumber(ARGV[4])
local now = clock()
if not holds(sink, ARGV[2], ARGV[3]) then return {now, 0} end
go_on_without_memory()
local note = cmsgpack.unpack(ARGV[5])
call_many('HSET', key('owed', sink), note.w)
call_many('HDEL', key('owed', sink), note.x)
call_many('XDEL', key('again', sink), note.a)
local name = key('sink', sink)
redis.call('HSET', name, 'position', note.p, 'oldest', note.o, 'until', now + life, 'seen', now)
if note.n > 0 then redis.call('HINCRBY', name, 'delivered', note.n) end
if note.e then redis.call('HSET', name, 'error', note.e, 'error_at', now) end
return {now, 1}
