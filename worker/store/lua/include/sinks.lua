-- Sinks: how far each has come in the events, and which worker delivers to it.
--
-- Includes keys
--
-- The hash of a sink holds:
--   position       stream id up to which every event was delivered, needs no delivery, or is owed
--   oldest         stream id of the oldest event that is owed, "" for none
--   worker epoch   which worker delivers to it, and the number of its lease, which each new one raises
--   until          when the lease ends (ms)
--   seen           when a worker last had the lease (ms)
--   kind keep      its kind; for how long events are kept for it (s)
--   since          when it began (ms)
--   delivered      how many events were delivered
--   error error_at what went wrong last, and when (ms)

-- Return whether a lease is still the one that a worker was given. Nobody else can have got it if it ran out meanwhile.
local function holds(sink, worker, epoch)
  local held = redis.call('HMGET', key('sink', sink), 'worker', 'epoch')
  return held[1] == worker and held[2] == epoch
end
