-- Assigns the next offset to an event, appends it to the log and publishes it.
-- Keys: offset, log, event ids, and for an alert the alert check, which is withdrawn first. The channel is not declared as a key:
-- a missing key is an error while its slot migrates.
-- Arguments: envelope, channel, phase (`immediate`, empty for an event that waits for the restore, or the epoch that a restore
-- publishes in); for an event that is published once per id its id, and the time of the publish (ms). TTLs (seconds) and bounds
-- are constants above the script.
-- Replies `<epoch>-<seq>`; nothing if the id was published before; or, before it has written anything, `unrestored` for a log
-- without a current offset, and for one whose recent events are to be published again first.
--
-- Each publish runs this, so it calls few commands, and makes no string of the envelope's length but the message: Lua hashes each string
-- byte by byte.
local offset, log, ids, alert_check = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local envelope, phase, id = ARGV[1], ARGV[3], ARGV[4]

if alert_check then
  redis.call('DEL', alert_check)
end

local epoch, last, bytes, fresh = known_offset(offset)
if not epoch or (fresh and phase ~= epoch and phase ~= 'immediate') then
  return 'unrestored'
end

if id and redis.call('ZADD', ids, 'NX', ARGV[5], id) == 0 then
  return false
end

local seq = string.format('%d', last + 1)

-- An expired log has no bytes.
local log_ttl = redis.call('TTL', log)
bytes = (log_ttl == -2 and 0 or bytes) + #envelope
-- The log has no more entries than its epoch had events.
local events = (last >= MAX_LOG_EVENTS or bytes > MAX_LOG_BYTES) and redis.call('XLEN', log) or 0
while events >= MAX_LOG_EVENTS or (bytes > MAX_LOG_BYTES and events > 0) do
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  events, bytes = events - 1, bytes - #oldest[2][2]
  redis.call('XDEL', log, oldest[1])
end
-- The seq is the entry's id, so that a gap in the log is detected.
redis.call('XADD', log, seq .. '-0', 'event', envelope)
redis.call('HSET', offset, 'seq', seq, 'bytes', string.format('%d', bytes))
if id then
  local known = redis.call('ZCARD', ids)
  if known == 1 then
    redis.call('EXPIRE', ids, OFFSET_TTL)
  elseif known > MAX_EVENT_IDS then
    redis.call('ZREMRANGEBYRANK', ids, 0, -MAX_EVENT_IDS - 1)
  end
end
-- The TTLs of offset and ids are much longer than that of the log, and renewed with it.
if log_ttl < LOG_TTL then
  redis.call('EXPIRE', log, LOG_TTL + LOG_TTL_SLACK)
  redis.call('EXPIRE', offset, OFFSET_TTL)
  redis.call('EXPIRE', ids, OFFSET_TTL)
end

local assigned = epoch .. '-' .. seq
redis.call('SPUBLISH', ARGV[2], assigned .. ' ' .. envelope)
return assigned
