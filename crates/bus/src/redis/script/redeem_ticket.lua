-- Hands a ticket to whoever comes with it, and tells its earlier holder.
-- Keys: position, log, ticket. Arguments: fresh epoch, life of the order (seconds), session, life of a ticket (seconds), channel,
-- name of the ticket, when its holder came (milliseconds).
-- Answers connection, epoch and seq where the events begin, and the number of the redemption; nothing when the ticket is no good.
local ticket, session, channel, name = KEYS[3], ARGV[3], ARGV[5], ARGV[6]

local epoch = order(KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]))
local known = redis.call('HMGET', ticket, 'session', 'connection', 'epoch', 'seq', 'came')
-- Of an order that has begun anew nobody can say what was missed.
if known[1] ~= session or known[3] ~= epoch then
  return {}
end
-- One that was held up here is overtaken by the next, and its client has given it up.
if known[5] and tonumber(known[5]) > tonumber(ARGV[7]) then
  return {}
end
redis.call('HSET', ticket, 'came', ARGV[7])
local redemption = redis.call('HINCRBY', ticket, 'redemption', 1)
redis.call('EXPIRE', ticket, ARGV[4])
redis.call('SPUBLISH', channel, 'redeemed ' .. redemption .. ' ' .. name)
return { known[2], epoch, known[4], redemption }
