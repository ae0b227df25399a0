-- Begins a look for open alerts, in the place of any before.
-- Keys: open alerts. Arguments: the look's name, its life (seconds).
redis.call('SET', KEYS[1], run .. ' look ' .. ARGV[1], 'EX', ARGV[2])
return {}
