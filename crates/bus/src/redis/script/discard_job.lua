-- Removes a job of a lane, whichever worker has claimed it.
-- Keys: lane, its size. Arguments: group, entry id.
-- Replies 1, or 0 if there is no such entry.
local lane, size, group, id = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
return { remove(lane, size, group, id) and 1 or 0 }
