-- Removes a dead letter of a lane.
-- Keys: dead letters. Arguments: its id.
-- Replies 1, or 0 if there is no such dead letter.
local dead_letters, id = KEYS[1], ARGV[1]
return { redis.call('XDEL', dead_letters, id) }
