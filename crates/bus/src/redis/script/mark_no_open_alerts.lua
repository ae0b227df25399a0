-- A look found no open alert. It counts only if its mark is still there.
-- Keys: open alerts. Arguments: the look's name, life of what it found (seconds).
if redis.call('GET', KEYS[1]) == run .. ' look ' .. ARGV[1] then
  redis.call('SET', KEYS[1], run .. ' none', 'EX', ARGV[2])
end
return {}
