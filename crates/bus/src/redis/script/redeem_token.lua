-- Redeems a resume token, and publishes the redemption to the node with the previous lease.
-- Keys: offset, log, resume tokens. Arguments: fresh epoch, TTL of the offset (seconds), session, TTL of a token (ms), channel,
-- id of the token, time of the attempt (ms).
-- Replies connection, epoch and seq of the start offset, and the number of the redemption; nothing if the token is not valid.
local tokens, session, channel, id, attempted_at = KEYS[3], ARGV[3], ARGV[5], ARGV[6], tonumber(ARGV[7])

local epoch = current_offset(KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]))
renew_offset(KEYS[1], tonumber(ARGV[2]))
local token = read(tokens, id)
-- After a change of the epoch the missed events are unknown.
if not token or token.session ~= session or token.epoch ~= epoch then
  return {}
end
-- A delayed attempt loses to a later one: its client has given up.
if token.attempted_at and token.attempted_at > attempted_at then
  return {}
end
token.attempted_at = attempted_at
token.redemption = token.redemption + 1
store(tokens, id, token, tonumber(ARGV[4]))
redis.call('SPUBLISH', channel, 'redeemed ' .. token.redemption .. ' ' .. id)
return { token.connection, epoch, token.seq, token.redemption }
