-- Gives a worker the entries whose worker fell silent; drops those past their deadline, buries those that cost a second worker.
-- Keys: lane, its byte count, dead letters. Arguments: group, worker, how long is silent (ms), how many at most, how many
-- deliveries at most, how many dead letters are kept.
-- Answers the entries as XREADGROUP would.
local lane, bytes, dead = KEYS[1], KEYS[2], KEYS[3]
local group, worker, silence = ARGV[1], ARGV[2], ARGV[3]
local most, deliveries, most_dead = ARGV[4], tonumber(ARGV[5]), ARGV[6]

local pending = redis.pcall('XPENDING', lane, group, 'IDLE', silence, '-', '+', most)
if pending.err then
  -- No group: nothing has been claimed since this Redis began.
  return {}
end

local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local claimed = {}
for _, held in ipairs(pending) do
  local id, lost = held[1], held[4]
  local entry = redis.call('XRANGE', lane, id, id)[1]
  if not entry then
    redis.call('XACK', lane, group, id)
  elseif tonumber(entry[2][4]) <= now then
    remove(lane, bytes, group, id)
  elseif lost >= deliveries then
    remove(lane, bytes, group, id)
    redis.call('XADD', dead, 'MAXLEN', '~', most_dead, '*', 'id', entry[2][2], 'entry', id, 'deliveries', lost)
  else
    redis.call('XCLAIM', lane, group, worker, 0, id)
    claimed[#claimed + 1] = entry
  end
end
return claimed
