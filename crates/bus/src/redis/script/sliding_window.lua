-- Takes one of so many in any period: the list holds the times of those that were taken last, newest first, each with who took it.
-- Keys: times. Arguments: how many, the period (us), who takes, how many of them may be theirs.
-- Answers how long to wait (us), 0 when one was taken.
local times, count, period, taker, most = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]

local wait, theirs = 0, 0
for place, taken in ipairs(redis.call('LRANGE', times, 0, count - 1)) do
  local at, by = string.match(taken, '^(%d+) ?(.*)$')
  local is_theirs = by == taker
  if is_theirs then
    theirs = theirs + 1
  end
  if place == count or (is_theirs and theirs == most) then
    wait = math.max(wait, tonumber(at) + period - now)
  end
end
if wait > 0 then
  return string.format('%.0f', wait)
end
redis.call('LPUSH', times, string.format('%.0f %s', now, taker))
redis.call('LTRIM', times, 0, count - 1)
redis.call('PEXPIRE', times, math.ceil(period / 1000))
return '0'
