-- Makes a ticket known. Of more than a user may have, those go whose holders were silent for longest: of the session that has most,
-- so that no session costs another its own.
-- Keys: tickets. Arguments: name, session, connection, epoch and seq where its holder's events begin, life (ms), how many at most.
local tickets, name, most = KEYS[1], ARGV[1], tonumber(ARGV[7])
local issued = { session = ARGV[2], connection = ARGV[3], epoch = ARGV[4], seq = ARGV[5], redemption = 0 }
keep(tickets, name, issued, tonumber(ARGV[6]))
if redis.call('HLEN', tickets) <= most then
  return {}
end

local known, of_session, entries = {}, {}, redis.call('HGETALL', tickets)
for index = 1, #entries, 2 do
  local ticket = cjson.decode(entries[index + 1])
  if ticket.ends <= now then
    redis.call('HDEL', tickets, entries[index])
  else
    ticket.name = entries[index]
    known[#known + 1] = ticket
    of_session[ticket.session] = (of_session[ticket.session] or 0) + 1
  end
end
table.sort(known, function(one, other)
  if one.ends == other.ends then
    return one.name < other.name
  end
  return one.ends < other.ends
end)
while #known > most do
  local goes
  for index, ticket in ipairs(known) do
    local larger = not goes or of_session[ticket.session] > of_session[known[goes].session]
    if ticket.name ~= name and larger then
      goes = index
    end
  end
  local gone = table.remove(known, goes)
  of_session[gone.session] = of_session[gone.session] - 1
  redis.call('HDEL', tickets, gone.name)
end
return {}
