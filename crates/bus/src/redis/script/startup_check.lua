-- A write that changes nothing: whether this user may run scripts here, and whether this server takes writes.
-- Keys: one that does not exist.
return redis.call('DEL', KEYS[1])
