-- Keeps an answer for a node and announces it.
-- Keys: the kept answer. Arguments: answer, its life (seconds), channel.
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('SPUBLISH', ARGV[3], ARGV[1])
return {}
