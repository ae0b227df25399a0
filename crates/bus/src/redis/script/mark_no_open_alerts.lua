-- Records that a check found no open alert, if it is still the current check.
-- Keys: alert check. Arguments: name of the check, TTL of the result (seconds).
if redis.call('GET', KEYS[1]) == run .. ' check ' .. ARGV[1] then
  redis.call('SET', KEYS[1], run .. ' none', 'EX', ARGV[2])
end
return {}
