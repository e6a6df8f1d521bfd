-- Note what a look at a job has shown after the end of its cancellation.
--
-- Includes record, events, verdicts
--
-- KEYS[1]  the events stream
-- ARGV     id of the cancellation, backend, what follows, when to look next (ms), calls made that the claim has not paid for,
--          verdict on the backend (see verdicts.lua), inside of a JSON object for the event
-- What follows  again  another look
--               alive  the job is alive again: report that once, and look no more
--               reopen the same, but stay claimed until the cancellation is open again
--               done   look no more
-- Returns  1 if this call reported that the job is alive again, else 0
-- Events   canceller.job.reappeared.v1; it has no sequence, since `finished` is the last event of a cancellation

local id, backend, follows, due = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local calls, verdict, data = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local now, watch = clock(), key('watch', backend)

local function report(guard, progress)
  append_event('{"specversion":"1.0","id":"' .. id .. '-reappeared","source":' .. source(guard.b)
    .. ',"type":"canceller.job.reappeared.v1","subject":' .. quote(guard.j) .. ',"time":"' .. iso(now)
    .. '","datacontenttype":"application/json","backend":"' .. guard.b .. '"'
    .. (guard.w and ',"traceparent":' .. quote(guard.w) or '') .. ',"data":' .. data_of(id, guard, data) .. '}')
  guard.ra = 1
  redis.call('SET', key('hot', id), packed(guard, progress), 'KEEPTTL')
end

go_on_without_memory()
redis.call('ZREM', key('lease', backend, 'b'), id)
note_verdict(backend, verdict, now)
if calls > 0 and redis.call('EXISTS', key('limit', backend)) == 1 then
  redis.call('HINCRBYFLOAT', key('limit', backend), 'tokens', -calls)
end
local reported = 0
if follows == 'alive' or follows == 'reopen' then
  local guard, progress = load(id)
  if guard and not guard.ra then
    report(guard, progress)
    reported = 1
  end
end
if follows == 'again' then
  redis.call('ZADD', watch, 'XX', due, id)
elseif follows ~= 'reopen' then
  redis.call('ZREM', watch, id)
end
return reported
