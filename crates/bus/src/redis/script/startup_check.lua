-- Write without effect: checks that this user may run scripts, and that this server accepts writes.
-- Keys: a missing key.
return redis.call('DEL', KEYS[1])
