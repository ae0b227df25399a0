-- Ends a ticket at its holder's word.
-- Keys: ticket. Arguments: number of the holder's redemption.
if redis.call('HGET', KEYS[1], 'redemption') == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return {}
