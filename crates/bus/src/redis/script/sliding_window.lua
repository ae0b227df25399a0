-- Takes one of a count in any window of a period: the list has the times of the last attempts, newest first, each with its
-- member.
-- Keys: times. Arguments: count, period (us), member, bound of the member's part.
-- Replies the time to wait (us), 0 if taken.
local times, count, period, member, bound = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]

local wait, of_member = 0, 0
for index, taken in ipairs(redis.call('LRANGE', times, 0, count - 1)) do
  local at, by = string.match(taken, '^(%d+) ?(.*)$')
  local is_of_member = by == member
  if is_of_member then
    of_member = of_member + 1
  end
  if index == count or (is_of_member and of_member == bound) then
    wait = math.max(wait, tonumber(at) + period - now)
  end
end
if wait > 0 then
  return string.format('%d', wait)
end
redis.call('LPUSH', times, string.format('%d %s', now, member))
redis.call('LTRIM', times, 0, count - 1)
redis.call('PEXPIRE', times, math.ceil(period / 1000))
return '0'
