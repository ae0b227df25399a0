-- Gives an event the next place in its user's order, keeps it and announces it; once for each event id.
-- Keys: position, log, event ids. The channel is no key: a key that does not exist may not be named while its slot migrates.
-- Arguments: event id, envelope, channel, fresh epoch, life of the order, life of the log (seconds), length of the log,
-- bytes of the log, number of ids that are remembered.
-- Answers epoch and seq, or nothing when the id was published before.
local pos, log, ids = KEYS[1], KEYS[2], KEYS[3]
local id, envelope, channel, fresh = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local order_life, log_life = tonumber(ARGV[5]), tonumber(ARGV[6])
local log_length, log_bytes, ids_length = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])

if redis.call('ZSCORE', ids, id) then
  return {}
end

local epoch = order(pos, log, fresh, order_life)
local seq = redis.call('HINCRBY', pos, 'seq', 1)
redis.call('EXPIRE', pos, order_life)

-- Where the log has ended meanwhile, so have its bytes.
local held = redis.call('XLEN', log) + 1
local bytes = (held > 1 and tonumber(redis.call('HGET', pos, 'bytes') or '0') or 0) + #envelope
-- The place is the entry's id, so that a hole in the log is seen.
redis.call('XADD', log, seq .. '-0', 'event', envelope)
while held > 0 and (held > log_length or bytes > log_bytes) do
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  redis.call('XDEL', log, oldest[1])
  held, bytes = held - 1, bytes - #oldest[2][2]
end
redis.call('HSET', pos, 'bytes', bytes)
redis.call('EXPIRE', log, log_life)

local now = redis.call('TIME')
redis.call('ZADD', ids, string.format('%d%06d', now[1], now[2]), id)
redis.call('ZREMRANGEBYRANK', ids, 0, -ids_length - 1)
redis.call('EXPIRE', ids, order_life)

redis.call('SPUBLISH', channel, epoch .. '-' .. seq .. ' ' .. envelope)
return { epoch, tostring(seq) }
