-- Where a user's order stands. A user without one gets one.
-- Keys: position, log. Arguments: fresh epoch, life of the order (seconds). Answers epoch and seq.
local epoch, seq = order(KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]))
return { epoch, tostring(seq) }
