-- Reads and deletes a challenge. Keys: challenges. Arguments: name. Replies its value, or nothing.
local _, value = read(redis.call('HGET', KEYS[1], ARGV[1]))
redis.call('HDEL', KEYS[1], ARGV[1])
return { value }
