-- Assigns the next offset to an event, appends it to the log and publishes it, once per event id.
-- Keys: offset, log, event ids. The channel is not declared as a key: a missing key is an error while its slot migrates.
-- Arguments: event id, envelope, channel, fresh epoch, TTL of the offset, TTL of the log (seconds), bound of the log in events,
-- bound of the log in bytes, bound of the event ids.
-- Replies epoch and seq, or nothing if the id was published before.
local offset, log, ids = KEYS[1], KEYS[2], KEYS[3]
local id, envelope, channel, fresh_epoch = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local offset_ttl, log_ttl = tonumber(ARGV[5]), tonumber(ARGV[6])
local max_log_events, max_log_bytes, max_ids = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])

if redis.call('ZSCORE', ids, id) then
  return {}
end

-- The time of the publish, in ms since 1970, becomes the first field of the envelope.
local now = redis.call('TIME')
envelope = '{"at":' .. now[1] .. string.format('%03d', math.floor(now[2] / 1000)) .. ',' .. string.sub(envelope, 2)

local epoch = current_offset(offset, log, fresh_epoch, offset_ttl)
local seq = redis.call('HINCRBY', offset, 'seq', 1)
redis.call('EXPIRE', offset, offset_ttl)

-- An expired log has no bytes.
local events = redis.call('XLEN', log) + 1
local bytes = (events > 1 and tonumber(redis.call('HGET', offset, 'bytes') or '0') or 0) + #envelope
-- The seq is the entry's id, so that a gap in the log is detected.
redis.call('XADD', log, seq .. '-0', 'event', envelope)
while events > 0 and (events > max_log_events or bytes > max_log_bytes) do
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  redis.call('XDEL', log, oldest[1])
  events, bytes = events - 1, bytes - #oldest[2][2]
end
redis.call('HSET', offset, 'bytes', bytes)
redis.call('EXPIRE', log, log_ttl)

redis.call('ZADD', ids, string.format('%d%06d', now[1], now[2]), id)
redis.call('ZREMRANGEBYRANK', ids, 0, -max_ids - 1)
redis.call('EXPIRE', ids, offset_ttl)

redis.call('SPUBLISH', channel, epoch .. '-' .. seq .. ' ' .. envelope)
return { epoch, tostring(seq) }
