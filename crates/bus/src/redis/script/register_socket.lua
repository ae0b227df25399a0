-- Enters a socket among those of a user; sockets of gateways that are gone are struck out, and those above the bound: of the session
-- that has most the oldest, never the newcomer. One step, so that of any number that come at once the bound remains.
-- Keys: sockets. Arguments: connection, its entry, life of the whole (ms), bound, gateways that are alive. Answers those above the bound.
local newcomer, most = ARGV[1], tonumber(ARGV[4])
local alive = {}
for index = 5, #ARGV do
  alive[ARGV[index]] = true
end
redis.call('HSET', KEYS[1], newcomer, ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])

local present, of_session = {}, {}
for _, entry in ipairs(redis.call('HVALS', KEYS[1])) do
  local socket = cjson.decode(entry)
  if alive[socket.node] then
    socket.entry = entry
    present[#present + 1] = socket
    of_session[socket.session] = (of_session[socket.session] or 0) + 1
  else
    redis.call('HDEL', KEYS[1], socket.connection)
  end
end
-- Times are written so that their texts sort.
table.sort(present, function(one, other)
  if one.connectedAt == other.connectedAt then
    return one.connection < other.connection
  end
  return one.connectedAt < other.connectedAt
end)

local surplus = {}
while #present > most do
  local goes
  for index, socket in ipairs(present) do
    local larger = not goes or of_session[socket.session] > of_session[present[goes].session]
    if socket.connection ~= newcomer and larger then
      goes = index
    end
  end
  if not goes then
    break
  end
  local gone = table.remove(present, goes)
  of_session[gone.session] = of_session[gone.session] - 1
  redis.call('HDEL', KEYS[1], gone.connection)
  surplus[#surplus + 1] = gone.entry
end
return surplus
