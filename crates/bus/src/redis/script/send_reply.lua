-- Publishes replies to one node, and stores each for a disconnected node unless its TTL is 0.
-- Keys: stored replies. Arguments: channel, then each reply and its TTL (seconds).
for number, stored in ipairs(KEYS) do
  local reply, ttl = ARGV[2 * number], ARGV[2 * number + 1]
  if tonumber(ttl) > 0 then
    redis.call('SET', stored, reply, 'EX', ttl)
  end
  redis.call('SPUBLISH', ARGV[1], reply)
end
return {}
