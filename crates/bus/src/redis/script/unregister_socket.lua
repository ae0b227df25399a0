-- Strikes a socket of a user out, if it is still that gateway's. Keys: sockets. Arguments: connection, gateway.
local entry = redis.call('HGET', KEYS[1], ARGV[1])
if entry and cjson.decode(entry).node == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return ''
