-- Reads the current offset of a user, creating it if missing.
-- Keys: offset, log. Arguments: fresh epoch, TTL of the offset (seconds). Replies epoch, seq, and `unrestored` or `restored`.
local epoch, seq, _, fresh = current_offset(KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]))
renew_offset(KEYS[1], tonumber(ARGV[2]))
return { epoch, tostring(seq), fresh and 'unrestored' or 'restored' }
