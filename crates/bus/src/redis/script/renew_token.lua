-- Renews the lease of a resume token.
-- Keys: resume tokens. Arguments: id, number of the lease's redemption, TTL (ms).
-- Replies 0 if a later redemption has the lease, as it has where the token is of a newer version; else 1, also for a missing token.
local token, is_newer = read(KEYS[1], ARGV[1])
if not token then
  return is_newer and 0 or 1
end
if token.redemption ~= tonumber(ARGV[2]) then
  return 0
end
store(KEYS[1], ARGV[1], token, tonumber(ARGV[3]))
return 1
