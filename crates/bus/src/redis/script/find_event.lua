-- Reports whether an event was published under this id with a mark of its content: the fraction of its score is `.5`.
-- Key: event ids. Argument: event id. Replies 1 or 0.
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
return known and string.find(known, '.5', 1, true) and 1 or 0
