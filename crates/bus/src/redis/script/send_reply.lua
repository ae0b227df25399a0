-- Announces an answer, and keeps it for a node that does not hear, unless its life is none.
-- Keys: the kept answer. Arguments: answer, its life (seconds), channel.
if tonumber(ARGV[2]) > 0 then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
redis.call('SPUBLISH', ARGV[3], ARGV[1])
return {}
