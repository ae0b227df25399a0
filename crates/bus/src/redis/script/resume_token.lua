-- Resume tokens of a user: a hash of id to JSON, each with its own expiry and the version `v`; without one it is of the first version, as
-- releases before 0.2 wrote it. Prepended to the scripts that need it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Resume token of an entry; nothing if it is of a newer version.
local function decode(entry)
  local token = cjson.decode(entry)
  return (token.v or 1) <= 1 and token or nil
end

-- Unexpired resume token; nothing if it is of a newer version, and then true.
local function read(tokens, id)
  local entry = redis.call('HGET', tokens, id)
  local token = entry and decode(entry)
  return token and token.expiry > now and token or nil, entry and not token
end

-- Stores a resume token with a fresh TTL (ms).
local function store(tokens, id, token, ttl)
  token.v, token.expiry = 1, now + ttl
  redis.call('HSET', tokens, id, cjson.encode(token))
  redis.call('PEXPIRE', tokens, ttl)
end
