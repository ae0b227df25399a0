-- Keys: index of a user's sessions. Answers the names of those that may be alive.
return redis.call('ZRANGE', KEYS[1], 0, -1)
