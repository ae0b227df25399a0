-- Revokes a resume token, if the lease is that of its latest redemption.
-- Keys: resume tokens. Arguments: id, number of the lease's redemption.
local token = read(KEYS[1], ARGV[1])
if token and token.redemption == tonumber(ARGV[2]) then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return {}
