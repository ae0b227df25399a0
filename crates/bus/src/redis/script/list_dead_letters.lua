-- Lists dead letters of a lane, oldest first.
-- Keys: dead letters. Arguments: first and last id, limit.
-- Replies for each its id and its fields.
local dead_letters, first, last, limit = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
return redis.call('XRANGE', dead_letters, first, last, 'COUNT', limit)
