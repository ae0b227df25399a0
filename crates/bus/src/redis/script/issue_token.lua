-- Issues a resume token. Above the bound the least recently renewed token of the session with the most tokens is evicted, so that
-- no session evicts another's tokens.
-- Keys: resume tokens. Arguments: id, session, connection, epoch and seq of the start offset, TTL (ms), bound.
local tokens, id, bound = KEYS[1], ARGV[1], tonumber(ARGV[7])
local issued = { session = ARGV[2], connection = ARGV[3], epoch = ARGV[4], seq = ARGV[5], redemption = 0 }
store(tokens, id, issued, tonumber(ARGV[6]))
if redis.call('HLEN', tokens) <= bound then
  return {}
end

local known, of_session, entries = {}, {}, redis.call('HGETALL', tokens)
for index = 1, #entries, 2 do
  local token = cjson.decode(entries[index + 1])
  if token.expiry <= now then
    redis.call('HDEL', tokens, entries[index])
  else
    token.id = entries[index]
    known[#known + 1] = token
    of_session[token.session] = (of_session[token.session] or 0) + 1
  end
end
table.sort(known, function(one, other)
  if one.expiry == other.expiry then
    return one.id < other.id
  end
  return one.expiry < other.expiry
end)
while #known > bound do
  local index_of_evicted
  for index, token in ipairs(known) do
    local larger = not index_of_evicted or of_session[token.session] > of_session[known[index_of_evicted].session]
    if token.id ~= id and larger then
      index_of_evicted = index
    end
  end
  local evicted = table.remove(known, index_of_evicted)
  of_session[evicted.session] = of_session[evicted.session] - 1
  redis.call('HDEL', tokens, evicted.id)
end
return {}
