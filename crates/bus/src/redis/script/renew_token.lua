-- Renews the lease of a resume token.
-- Keys: resume tokens. Arguments: id, number of the lease's redemption, TTL (ms).
-- Replies 0 if a later redemption has the lease, else 1, also for a missing token.
local token = read(KEYS[1], ARGV[1])
if not token then
  return 1
end
if token.redemption ~= tonumber(ARGV[2]) then
  return 0
end
store(KEYS[1], ARGV[1], token, tonumber(ARGV[3]))
return 1
