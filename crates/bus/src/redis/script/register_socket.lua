-- Registers a socket of a user. Removes the sockets of dead gateways, and those above the bound: the oldest of the session with
-- the most sockets, never the one being registered. One script, so that concurrent registrations stay within the bound. Entries of a newer
-- version are neither read nor counted.
-- Keys: sockets. Arguments: connection, its entry, TTL of the hash (ms), bound, 1 if its join has registered it already, else 0, live
-- gateways. Replies the sockets above the bound.
local registered, bound = ARGV[1], tonumber(ARGV[4])
local live = {}
for index = 6, #ARGV do
  live[ARGV[index]] = true
end
local added = redis.call('HSET', KEYS[1], registered, ARGV[2])
if added == 1 and ARGV[5] == '1' then
  -- Evicted since its join, so it is being closed: registered again, it would evict another one in its place.
  redis.call('HDEL', KEYS[1], registered)
  return {}
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])

local open, of_session = {}, {}
for _, entry in ipairs(redis.call('HVALS', KEYS[1])) do
  local socket = cjson.decode(entry)
  if socket.v > 1 then
    -- Its gateway is of a newer release, and has a bound of its own.
  elseif live[socket.node] then
    socket.entry = entry
    open[#open + 1] = socket
    of_session[socket.session] = (of_session[socket.session] or 0) + 1
  else
    redis.call('HDEL', KEYS[1], socket.connection)
  end
end
-- Times are RFC 3339 in one zone, so that they sort as text.
table.sort(open, function(one, other)
  if one.connectedAt == other.connectedAt then
    return one.connection < other.connection
  end
  return one.connectedAt < other.connectedAt
end)

local excess = {}
while #open > bound do
  local evicted
  for index, socket in ipairs(open) do
    local larger = not evicted or of_session[socket.session] > of_session[open[evicted].session]
    if socket.connection ~= registered and larger then
      evicted = index
    end
  end
  if not evicted then
    break
  end
  local closed = table.remove(open, evicted)
  of_session[closed.session] = of_session[closed.session] - 1
  redis.call('HDEL', KEYS[1], closed.connection)
  excess[#excess + 1] = closed.entry
end
return excess
