-- Records a starting check for open alerts, replacing an earlier one.
-- Keys: alert check. Arguments: name of the check, its TTL (seconds).
redis.call('SET', KEYS[1], run .. ' check ' .. ARGV[1], 'EX', ARGV[2])
return {}
