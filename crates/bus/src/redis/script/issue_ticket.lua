-- Makes a ticket known.
-- Keys: ticket. Arguments: session, connection, epoch and seq where its holder's events begin, life (seconds).
redis.call('HSET', KEYS[1], 'session', ARGV[1], 'connection', ARGV[2], 'epoch', ARGV[3], 'seq', ARGV[4], 'redemption', 0)
redis.call('EXPIRE', KEYS[1], ARGV[5])
return {}
