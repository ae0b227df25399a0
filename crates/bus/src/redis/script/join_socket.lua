-- Joins a socket to its session, if that is live: records its token, registers the socket, issues its resume token, reads the offset
-- of the user and the hints. For an unknown session, starts a check for open alerts instead. The bounds of sockets and resume tokens are left to `register_socket.lua` and `issue_token.lua`.
-- Keys: those of the session, offset, log, sockets, resume tokens, seen marks, alert check.
-- Arguments: name of the session, time of issue of its token (0: unknown), fresh epoch, TTL of the offset (seconds), connection, its
-- entry, TTL of the sockets (ms), device, network, name of the check (empty: none), its TTL (seconds); for a resume token its id,
-- session, TTL (ms).
-- Replies the state of the session; of a live one also epoch and seq, the number of sockets, of resume tokens, and 1 or 0 twice: both
-- marks are set; no alert is open.
local sockets, tokens, seen, alert_check = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local connection, sockets_ttl, token_id, token_ttl = ARGV[5], tonumber(ARGV[7]), ARGV[12], ARGV[14]

local session = read()
record_token(session, tonumber(ARGV[2]))
local reply = answer(session)
if reply[1] ~= 'alive' then
  if reply[1] == 'unknown' and ARGV[10] ~= '' then
    redis.call('SET', alert_check, this_run .. ' check ' .. ARGV[10], 'EX', ARGV[11])
  end
  return reply
end

local epoch, seq = current_offset(KEYS[5], KEYS[6], ARGV[3], tonumber(ARGV[4]), this_run)

redis.call('HSET', sockets, connection, ARGV[6])
if redis.call('PTTL', sockets) < sockets_ttl / 2 then
  redis.call('PEXPIRE', sockets, sockets_ttl)
end

local issued = 0
if token_id then
  local token = { session = ARGV[13], connection = connection, epoch = epoch, seq = number(seq), redemption = 0 }
  token.expiry = now + tonumber(token_ttl)
  redis.call('HSET', tokens, token_id, cjson.encode(token))
  redis.call('PEXPIRE', tokens, token_ttl)
  issued = redis.call('HLEN', tokens)
end

local is_seen = '1'
for _, known in ipairs(redis.call('SMISMEMBER', seen, 'run ' .. this_run, ARGV[8], ARGV[9])) do
  if known == 0 then
    is_seen = '0'
  end
end
local no_open_alerts = redis.call('GET', alert_check) == this_run .. ' none' and '1' or '0'

for _, value in ipairs({ epoch, number(seq), redis.call('HLEN', sockets), issued, is_seen, no_open_alerts }) do
  reply[#reply + 1] = value
end
return reply
