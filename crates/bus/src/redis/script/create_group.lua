-- Makes the workers' group of a lane, if there is none, and forgets workers that are long gone: each start of a worker is a
-- new consumer, and Redis keeps them for ever.
-- Keys: lane. Arguments: group, idle time after which a worker without entries is gone (ms).
local lane, group, gone = KEYS[1], ARGV[1], tonumber(ARGV[2])
redis.pcall('XGROUP', 'CREATE', lane, group, '0', 'MKSTREAM')
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', lane, group)) do
  local name, pending, idle = consumer[2], consumer[4], consumer[6]
  if pending == 0 and idle > gone then
    redis.call('XGROUP', 'DELCONSUMER', lane, group, name)
  end
end
return {}
