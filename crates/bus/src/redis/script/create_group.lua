-- Creates the consumer group of a lane, if missing, and deletes idle consumers: each start of a worker adds one, and Redis keeps
-- them for ever.
-- Keys: lane. Arguments: group, idle time after which a consumer without entries is deleted (ms).
local lane, group, idle_limit = KEYS[1], ARGV[1], tonumber(ARGV[2])
redis.pcall('XGROUP', 'CREATE', lane, group, '0', 'MKSTREAM')
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', lane, group)) do
  local name, pending, idle = consumer[2], consumer[4], consumer[6]
  if pending == 0 and idle > idle_limit then
    redis.call('XGROUP', 'DELCONSUMER', lane, group, name)
  end
end
return {}
