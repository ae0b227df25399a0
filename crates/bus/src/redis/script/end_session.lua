-- Replaces a session with the tombstone of its end, unless it was opened or ended later.
-- Arguments: name of the session, time of the end, TTL of the tombstone (ms).
local session = read()
local ended = tonumber(ARGV[2])
if (session.opened or 0) <= ended and (session.at or 0) <= ended then
  redis.call('SET', KEYS[1], 'ended ' .. number(ended), 'PX', ARGV[3])
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[3], ARGV[1])
end
return ''
