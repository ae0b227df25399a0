-- Keys: sockets of a user. Answers all entries.
return redis.call('HVALS', KEYS[1])
