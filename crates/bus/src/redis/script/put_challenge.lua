-- Keeps a challenge among those of its kind. Where there are too many then, those that end first are deleted: each lives as long as
-- the others of its kind, so they are the oldest.
-- Keys: challenges. Arguments: name, value, life (us), how many at most.
local challenges, life, most = KEYS[1], tonumber(ARGV[3]), tonumber(ARGV[4])

redis.call('HSET', challenges, ARGV[1], string.format('%.0f ', now + life) .. ARGV[2])
local surplus = redis.call('HLEN', challenges) - most
if surplus > 0 then
  local kept, entries = {}, redis.call('HGETALL', challenges)
  for index = 1, #entries, 2 do
    kept[#kept + 1] = { name = entries[index], ends = read(entries[index + 1]) }
  end
  table.sort(kept, function(one, other)
    return one.ends < other.ends
  end)
  for index = 1, surplus do
    redis.call('HDEL', challenges, kept[index].name)
  end
end
-- All of them end with the last.
if redis.call('PTTL', challenges) < life / 1000 then
  redis.call('PEXPIRE', challenges, math.ceil(life / 1000))
end
return {}
