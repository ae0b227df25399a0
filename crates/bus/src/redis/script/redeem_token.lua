-- Hands a ticket to whoever comes with it, and tells its earlier holder.
-- Keys: position, log, tickets. Arguments: fresh epoch, life of the order (seconds), session, life of a ticket (ms), channel,
-- name of the ticket, when its holder came (milliseconds).
-- Answers connection, epoch and seq where the events begin, and the number of the redemption; nothing when the ticket is no good.
local tickets, session, channel, name, came = KEYS[3], ARGV[3], ARGV[5], ARGV[6], tonumber(ARGV[7])

local epoch = order(KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]))
local ticket = read(tickets, name)
-- Of an order that has begun anew nobody can say what was missed.
if not ticket or ticket.session ~= session or ticket.epoch ~= epoch then
  return {}
end
-- One that was held up here is overtaken by the next, and its client has given it up.
if ticket.came and ticket.came > came then
  return {}
end
ticket.came = came
ticket.redemption = ticket.redemption + 1
keep(tickets, name, ticket, tonumber(ARGV[4]))
redis.call('SPUBLISH', channel, 'redeemed ' .. ticket.redemption .. ' ' .. name)
return { ticket.connection, epoch, ticket.seq, ticket.redemption }
