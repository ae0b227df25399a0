-- Overwrites a session with its end. Keys: session, warn key. Arguments: how long that is remembered (ms).
redis.call('SET', KEYS[1], 'ended', 'PX', ARGV[1])
redis.call('DEL', KEYS[2])
return ''
