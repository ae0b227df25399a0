-- Keys: challenges. Arguments: name. Answers its value, or nothing.
local _, value = read(redis.call('HGET', KEYS[1], ARGV[1]))
return { value }
