-- Notes a device and a network. The set ends when its first mark does, and begins anew when it is full.
-- Keys: devices and networks. Arguments: device, network, life (seconds), how many marks at most.
local seen, life, most = KEYS[1], ARGV[3], tonumber(ARGV[4])
if redis.call('SISMEMBER', seen, 'run ' .. run) == 0 or redis.call('SCARD', seen) > most then
  redis.call('DEL', seen)
end
redis.call('SADD', seen, 'run ' .. run, ARGV[1], ARGV[2])
redis.call('EXPIRE', seen, life, 'NX')
return {}
