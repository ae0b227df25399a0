-- Marks a device and a network as seen. The set expires with its first mark, and is cleared when full.
-- Keys: seen marks. Arguments: device, network, TTL (seconds), bound of the set.
local seen, ttl, bound = KEYS[1], ARGV[3], tonumber(ARGV[4])
if redis.call('SISMEMBER', seen, 'run ' .. run) == 0 or redis.call('SCARD', seen) > bound then
  redis.call('DEL', seen)
end
redis.call('SADD', seen, 'run ' .. run, ARGV[1], ARGV[2])
redis.call('EXPIRE', seen, ttl, 'NX')
return {}
