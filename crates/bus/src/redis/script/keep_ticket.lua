-- A sign of life of a ticket's holder.
-- Keys: ticket. Arguments: number of the holder's redemption, life (seconds).
-- Answers 0 when another holds the ticket. One that is gone is nobody's.
local redemption = redis.call('HGET', KEYS[1], 'redemption')
if redemption and redemption ~= ARGV[1] then
  return 0
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
