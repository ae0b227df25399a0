-- Overwrites a session with its end, unless it was opened after that, or ended later.
-- Arguments: its name, time of the end, how long that is remembered (ms).
local session = read()
local ended = tonumber(ARGV[2])
if (session.opened or 0) <= ended and (session.at or 0) <= ended then
  redis.call('SET', KEYS[1], 'ended ' .. number(ended), 'PX', ARGV[3])
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[3], ARGV[1])
end
return ''
