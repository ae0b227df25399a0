-- Unregisters a socket of a user, if it is still on that gateway. Keys: sockets. Arguments: connection, gateway.
local entry = redis.call('HGET', KEYS[1], ARGV[1])
if entry and cjson.decode(entry).node == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return ''
