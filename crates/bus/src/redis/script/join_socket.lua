-- Joins a socket to its session, if that is live: records its token, registers the socket, issues its resume token, reads the offset
-- of the user and the hints. For an unknown session, starts a check for open alerts instead. The bounds of sockets and resume tokens
-- are left to `register_socket.lua` and `issue_token.lua`.
-- Keys: session, end of all, offset, log, sockets, resume tokens, seen marks, alert check.
-- Arguments: time of issue and expiry of its token (13 digits, a space, 13 digits; empty if `record_token.lua` has just found the session
-- alive), fresh epoch, connection, its entry, device, network, name of the check (empty: none); for a resume token its id, and its JSON
-- up to what is added here. TTLs are constants above the script: of the offset and the check in seconds, of sockets and resume tokens in ms.
-- Replies `unknown`; `unread` for a session that `record_token.lua` is to read; or `joined`, the session, TIME, epoch and seq, the
-- number of sockets and of resume tokens, 1 if no alert is open, else 0, and three times 0 or 1 for the marks.
--
-- Each connect runs this, so it has no patterns, parses no numbers, nests no replies and leaves what is rare to other scripts.
local session, sockets, tokens = KEYS[1], KEYS[5], KEYS[6]
local times, connection, entry, check, token_id = ARGV[1], ARGV[3], ARGV[4], ARGV[7], ARGV[8]

local found = redis.call('MGET', session, KEYS[2], KEYS[8])
local value = found[1]
if times ~= '' then
  if not value then
    if check ~= '' then
      redis.call('SET', KEYS[8], run .. ' check ' .. check, 'EX', CHECK_TTL)
    end
    return { 'unknown' }
  end
  -- Alive, as `session.lua` stores it, without an announced end. The key expires at the deadline.
  if found[2] or #value ~= 136 or string.sub(value, -2) ~= ' 0' or string.sub(value, 1, 42) ~= '2 ' .. run then
    return { 'unread' }
  end
end

-- Read before anything is written: a fresh epoch deletes keys and writes them again, which may stop in between while their slot
-- migrates.
local known = redis.call('HMGET', KEYS[3], 'run', 'epoch', 'seq')
local epoch, seq = known[2], known[3]
-- The TTL is renewed by the comparisons of offsets, while the socket is open.
if known[1] ~= run or not epoch or not seq then
  epoch, seq = current_offset(KEYS[3], KEYS[4], ARGV[2], OFFSET_TTL)
end

if times ~= '' and string.sub(value, 94, 120) ~= times then
  local newest, issued = string.sub(value, 94, 106), string.sub(times, 1, 13)
  local expiry, expires = string.sub(value, 108, 120), string.sub(times, 15)
  if newest < issued or expiry < expires then
    newest = newest < issued and issued or newest
    expiry = expiry < expires and expires or expiry
    value = string.sub(value, 1, 93) .. newest .. ' ' .. expiry .. string.sub(value, 121)
    redis.call('SET', session, value, 'KEEPTTL')
  end
end

redis.call('HSET', sockets, connection, entry)
if redis.call('PTTL', sockets) < SOCKETS_TTL / 2 then
  redis.call('PEXPIRE', sockets, SOCKETS_TTL)
end

local time, issued_tokens = redis.call('TIME'), 0
if token_id then
  local expiry = string.format('%d', time[1] * 1000 + time[2] / 1000 + TOKEN_TTL)
  local token = ARGV[9] .. ',"epoch":"' .. epoch .. '","seq":"' .. seq .. '","expiry":' .. expiry .. '}'
  redis.call('HSET', tokens, token_id, token)
  redis.call('PEXPIRE', tokens, TOKEN_TTL)
  issued_tokens = redis.call('HLEN', tokens)
end

return {
  'joined',
  value or '',
  time[1],
  time[2],
  epoch,
  seq,
  redis.call('HLEN', sockets),
  issued_tokens,
  found[3] == run .. ' none' and 1 or 0,
  unpack(redis.call('SMISMEMBER', KEYS[7], 'run ' .. run, ARGV[5], ARGV[6])),
}
