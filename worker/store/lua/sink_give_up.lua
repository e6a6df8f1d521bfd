-- Give up the delivery of an event to a sink: it becomes a dead letter and is owed no more.
--
-- Includes sinks, letters
--
-- KEYS[1]  the events stream
-- ARGV     sink, worker, number of its lease, stream id of the event ("" if it is not owed), id of its replay ("" for none),
--          reason, message, mark (names the event), how many bytes of dead letters are kept at most
-- Returns  1, or 0 if the lease is another's: then nothing was written

local sink, entry, replay = ARGV[1], ARGV[4], ARGV[5]
if not holds(sink, ARGV[2], ARGV[3]) then return 0 end
keep_letter(nil, tonumber(ARGV[9]), {'reason', ARGV[6], 'raw', ARGV[7], 'mark', ARGV[8], 'sink', sink})
if entry ~= '' then redis.call('HDEL', key('owed', sink), entry) end
if replay ~= '' then redis.call('XDEL', key('again', sink), replay) end
return 1
