-- Strikes a socket of a user out. Keys: sockets. Arguments: connection.
redis.call('HDEL', KEYS[1], ARGV[1])
return ''
