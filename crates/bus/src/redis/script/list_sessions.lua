-- Lists the sessions in a user's index, some of which may have expired. Keys: index.
return redis.call('ZRANGE', KEYS[1], 0, -1)
