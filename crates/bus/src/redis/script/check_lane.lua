-- Reports whether a lane is served, and its backlog.
-- Keys: times of the lane, lane, its dead letters. Arguments: time without a claim after which it is not served (ms), group.
-- Replies 1 or 0, the entries that no worker has claimed, the age of the oldest of them (ms; 0 without one), and the dead letters.
local served, lane, dead_letters = KEYS[1], KEYS[2], KEYS[3]
local limit, group, now = tonumber(ARGV[1]), ARGV[2], now_ms()

local claimed, after = 0, '-'
local groups = redis.pcall('XINFO', 'GROUPS', lane)
-- No stream: nothing was queued on this Redis.
for _, info in ipairs(groups.err and {} or groups) do
  if info[2] == group then
    claimed, after = info[6], '(' .. info[8]
  end
end

local oldest = redis.call('XRANGE', lane, after, '+', 'COUNT', 1)[1]
local age = oldest and now - tonumber(oldest[1]:match('^%d+')) or 0
return {
  is_served(served, limit, now) and 1 or 0,
  math.max(redis.call('XLEN', lane) - claimed, 0),
  math.max(age, 0),
  redis.call('XLEN', dead_letters),
}
