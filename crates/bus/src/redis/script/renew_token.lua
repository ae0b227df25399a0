-- A sign of life of a ticket's holder.
-- Keys: tickets. Arguments: name, number of the holder's redemption, life (ms).
-- Answers 0 when another holds the ticket. One that is gone is nobody's.
local ticket = read(KEYS[1], ARGV[1])
if not ticket then
  return 1
end
if ticket.redemption ~= tonumber(ARGV[2]) then
  return 0
end
keep(KEYS[1], ARGV[1], ticket, tonumber(ARGV[3]))
return 1
