-- Issues a resume token. Above the bound it evicts down to the number that is kept: each time the least recently renewed token of the
-- session with the most tokens, so that no session evicts another's tokens. Those of a newer version are neither counted nor evicted.
-- Keys: resume tokens. Arguments: id, session, connection, epoch and seq of the start offset, TTL (ms), bound, number that is kept.
local tokens, id, bound, kept = KEYS[1], ARGV[1], tonumber(ARGV[7]), tonumber(ARGV[8])
local issued = { session = ARGV[2], connection = ARGV[3], epoch = ARGV[4], seq = ARGV[5], redemption = 0 }
store(tokens, id, issued, tonumber(ARGV[6]))
if redis.call('HLEN', tokens) <= bound then
  return {}
end

-- `sessions[n]` is the number of sessions with at least n tokens.
local known, of_session, sessions, entries = {}, {}, {}, redis.call('HGETALL', tokens)
for index = 1, #entries, 2 do
  local token = decode(entries[index + 1])
  if token and token.expiry <= now then
    redis.call('HDEL', tokens, entries[index])
  elseif token then
    token.id = entries[index]
    known[#known + 1] = token
    local count = (of_session[token.session] or 0) + 1
    of_session[token.session] = count
    sessions[count] = (sessions[count] or 0) + 1
  end
end
local level, excess = #sessions, #known - kept
if excess <= 0 then
  return {}
end

-- Tokens that a session keeps, and `excess` sessions keep one less.
while excess >= sessions[level] do
  excess = excess - sessions[level]
  level = level - 1
end
table.sort(known, function(one, other)
  if one.expiry == other.expiry then
    return one.id < other.id
  end
  return one.expiry < other.expiry
end)
for _, token in ipairs(known) do
  local count = of_session[token.session]
  if token.id ~= id and (count > level or (count == level and excess > 0)) then
    if count == level then
      excess = excess - 1
    end
    of_session[token.session] = count - 1
    redis.call('HDEL', tokens, token.id)
  end
end
return {}
