-- Records that the recent events of a user are published again.
-- Keys: offset. Arguments: epoch in which they were. Replies 1, or 0 if the epoch is another one.
if known_offset(KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('HDEL', KEYS[1], 'fresh')
return 1
