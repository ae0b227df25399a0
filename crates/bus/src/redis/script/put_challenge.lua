-- Stores a challenge of a user and kind. Above the bound those that expire first are deleted: all of a kind have the same TTL, so
-- these are the oldest.
-- Keys: challenges. Arguments: name, value, TTL (us), bound.
local challenges, ttl, bound = KEYS[1], tonumber(ARGV[3]), tonumber(ARGV[4])

redis.call('HSET', challenges, ARGV[1], string.format('%d ', now + ttl) .. ARGV[2])
local excess = redis.call('HLEN', challenges) - bound
if excess > 0 then
  local stored, entries = {}, redis.call('HGETALL', challenges)
  for index = 1, #entries, 2 do
    stored[#stored + 1] = { name = entries[index], expiry = read(entries[index + 1]) }
  end
  table.sort(stored, function(one, other)
    return one.expiry < other.expiry
  end)
  for index = 1, excess do
    redis.call('HDEL', challenges, stored[index].name)
  end
end
-- The hash expires with its last entry.
if redis.call('PTTL', challenges) < ttl / 1000 then
  redis.call('PEXPIRE', challenges, math.ceil(ttl / 1000))
end
return {}
