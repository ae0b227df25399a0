-- Assigns the next offset to an event, appends it to the log and publishes it.
-- Keys: offset, log, event ids where the event is published once per id, and for an alert the alert check, which is withdrawn first.
-- The channel is not declared as a key: a missing key is an error while its slot migrates.
-- Arguments: envelope, channel, fresh epoch; event id, with the third key. TTLs (seconds) and bounds are constants above the script.
-- Replies epoch and seq, or nothing if the id was published before.
local offset, log, ids, alert_check = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local envelope, now = ARGV[1], redis.call('TIME')

if alert_check then
  redis.call('DEL', alert_check)
end

if ids and redis.call('ZADD', ids, 'NX', string.format('%d%06d', now[1], now[2]), ARGV[4]) == 0 then
  return {}
end

local epoch, seq, bytes = current_offset(offset, log, ARGV[3], OFFSET_TTL)
seq = string.format('%.0f', seq + 1)
-- The time of the publish, in ms since 1970, becomes the first field of the envelope.
envelope = '{"at":' .. now[1] .. string.format('%03d', math.floor(now[2] / 1000)) .. ',' .. string.sub(envelope, 2)

-- An expired log has no bytes.
local log_ttl, events = redis.call('TTL', log), 0
if log_ttl == -2 then
  bytes = 0
else
  events = redis.call('XLEN', log)
end
bytes = bytes + #envelope
while events >= MAX_LOG_EVENTS or (bytes > MAX_LOG_BYTES and events > 0) do
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  events, bytes = events - 1, bytes - #oldest[2][2]
  redis.call('XDEL', log, oldest[1])
end
-- The seq is the entry's id, so that a gap in the log is detected.
redis.call('XADD', log, seq .. '-0', 'event', envelope)
redis.call('HSET', offset, 'seq', seq, 'bytes', bytes)
if log_ttl < LOG_TTL then
  redis.call('EXPIRE', log, LOG_TTL + LOG_TTL_SLACK)
end

if ids then
  redis.call('ZREMRANGEBYRANK', ids, 0, -MAX_EVENT_IDS - 1)
  if redis.call('TTL', ids) < OFFSET_TTL / 2 then
    redis.call('EXPIRE', ids, OFFSET_TTL)
  end
end

redis.call('SPUBLISH', ARGV[2], epoch .. '-' .. seq .. ' ' .. envelope)
return { epoch, seq }
