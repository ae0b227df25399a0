-- Takes from several buckets, all or none, by the generic cell rate algorithm: each cell is the time at which its bucket will be
-- full again.
-- Keys: cells. Arguments: for each cell the refill time of the cost, and of the whole bucket (us).
-- Replies the time to wait (us), 0 if taken.
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]

local wait, taken = 0, {}
for number, cell in ipairs(KEYS) do
  local refill, period = tonumber(ARGV[2 * number - 1]), tonumber(ARGV[2 * number])
  taken[number] = math.max(now, tonumber(redis.call('GET', cell) or now)) + refill
  wait = math.max(wait, taken[number] - (now + period))
end
if wait > 0 then
  return string.format('%d', wait)
end
for number, cell in ipairs(KEYS) do
  redis.call('SET', cell, string.format('%d', taken[number]), 'PX', math.ceil((taken[number] - now) / 1000))
end
return '0'
