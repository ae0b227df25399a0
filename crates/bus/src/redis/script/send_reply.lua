-- Publishes a reply, and stores it for a disconnected node unless its TTL is 0.
-- Keys: stored reply. Arguments: reply, its TTL (seconds), channel.
if tonumber(ARGV[2]) > 0 then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
redis.call('SPUBLISH', ARGV[3], ARGV[1])
return {}
