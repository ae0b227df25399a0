-- Takes one from a bucket, by the generic cell rate algorithm: the cell is the time at which the bucket will be full again.
-- Keys: cell. Arguments: how long one takes to come back, how long all of them take (us).
-- Answers how long to wait (us), 0 when one was taken.
local cell, interval, period = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]

local full_at = math.max(now, tonumber(redis.call('GET', cell) or now))
local taken = full_at + interval
local wait = taken - (now + period)
if wait > 0 then
  return string.format('%.0f', wait)
end
redis.call('SET', cell, string.format('%.0f', taken), 'PX', math.ceil((taken - now) / 1000))
return '0'
