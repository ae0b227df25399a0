-- Unregisters a socket of a user, if it is still on that gateway. Keys: sockets. Arguments: connection, JSON member of the gateway.
local entry = redis.call('HGET', KEYS[1], ARGV[1])
-- Quotes within texts of the entry are escaped.
if entry and string.find(entry, ARGV[2], 1, true) then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return ''
