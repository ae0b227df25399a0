-- Lists the sockets of a user. Keys: sockets.
return redis.call('HVALS', KEYS[1])
