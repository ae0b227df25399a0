-- Takes one of so many in any period: the list holds the times of those that were taken last, newest first.
-- Keys: times. Arguments: how many, the period (us).
-- Answers how long to wait (us), 0 when one was taken.
local times, count, period = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]

local oldest = tonumber(redis.call('LINDEX', times, count - 1) or 0)
local wait = oldest + period - now
if wait > 0 then
  return string.format('%.0f', wait)
end
redis.call('LPUSH', times, string.format('%.0f', now))
redis.call('LTRIM', times, 0, count - 1)
redis.call('PEXPIRE', times, math.ceil(period / 1000))
return '0'
