-- Carry out an operator's order about a batch.
--
-- Includes batches, commands
--
-- KEYS[1]  the events stream
-- ARGV     id, order (batch_pause, batch_resume or batch_abort), by whom, why, who signed it ("" for nobody), id of the message
--          that carried it ("" for none), for how many days that id is remembered, 1 to hold what is open, too
-- Returns  ok, or what is wrong: unknown, ended, receiving, not_paused, aborting. A redelivered message changes nothing.
-- Events   paused, resumed, finished; paused after resumed, if the canary has failed during the pause

local id, order, by, why = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local signed_by = ARGV[5] ~= '' and ARGV[5] or nil
local message, days, hold = ARGV[6], tonumber(ARGV[7]), ARGV[8] == '1'
go_on_without_memory()
local now = clock()

local function sweep(batch, act)
  batch.sweep = {act = act, at = -1, by = by, reason = why, sg = signed_by}
end

local function name(batch)
  batch.by, batch.reason, batch.sg = by, why, signed_by
end

local ORDERS = {
  batch_pause = function(batch)
    if batch.state == 'receiving' then return 'receiving' end
    if batch.state == 'aborting' then return 'aborting' end
    batch.state = 'paused'
    name(batch)
    local with_hold = hold or batch.hold and not batch.held -- a hold under way is announced once all members are held
    if with_hold and batch.open > 0 then
      batch.hold, batch.held = 1, nil
      sweep(batch, 'hold')
    else
      batch.held = with_hold and 1 or batch.held
      batch.hold = with_hold and 1 or batch.hold
      announce_pause(batch, now)
    end
  end,
  batch_resume = function(batch)
    if batch.state ~= 'paused' then return 'not_paused' end
    batch.state, batch.window = 'running', ''
    name(batch)
    batch_event(batch, 'resumed', now, whose(batch))
    if batch.hold then sweep(batch, 'release') end
    batch.by, batch.reason, batch.sg, batch.hold, batch.held = nil, nil, nil, nil, nil
    if batch.failed == 1 then
      batch.waived = 1
    elseif batch.failed and pause_by_itself(batch, batch.failed, now) then
      batch.failed = 1
    end
    if batch.at then batch.at = now end
  end,
  batch_abort = function(batch)
    if batch.state == 'aborting' then return nil end
    batch.state, batch.cut, batch.hold, batch.held = 'aborting', batch.cursor, nil, nil
    name(batch)
    local left = waiting(batch)
    if left > 0 then batch.finished.aborted = (batch.finished.aborted or 0) + left end
    for backend in pairs(batch.passed) do redis.call('DEL', key('batchpassed', id, backend)) end
    batch.cursor, batch.passed, batch.news = batch.selected, {}, 1
    sweep(batch, 'abort')
  end,
}

local batch = load_batch(id)
if not batch then return 'unknown' end
local mark = 'order ' .. message
if message ~= '' and recall(mark, now, days) then return 'ok' end
if is_final(batch) then return 'ended' end
local wrong = ORDERS[order](batch)
if wrong then return wrong end
if message ~= '' then remember(mark, '0000000000000000', '', now, days) end
save_batches(now)
return 'ok'
