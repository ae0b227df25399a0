-- The tickets of a user: a hash of name to JSON, each with an end of its own. Prepended to the scripts that need it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A ticket that has not ended.
local function read(tickets, name)
  local entry = redis.call('HGET', tickets, name)
  local ticket = entry and cjson.decode(entry)
  return ticket and ticket.ends > now and ticket or nil
end

-- Keeps a ticket for so long from now (ms).
local function keep(tickets, name, ticket, life)
  ticket.ends = now + life
  redis.call('HSET', tickets, name, cjson.encode(ticket))
  redis.call('PEXPIRE', tickets, life)
end
