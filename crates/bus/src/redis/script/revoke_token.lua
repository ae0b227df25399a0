-- Ends a ticket at its holder's word.
-- Keys: tickets. Arguments: name, number of the holder's redemption.
local ticket = read(KEYS[1], ARGV[1])
if ticket and ticket.redemption == tonumber(ARGV[2]) then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return {}
