-- Resume tokens of a user: a hash of id to JSON, each with its own expiry. Prepended to the scripts that need it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Unexpired resume token.
local function read(tokens, id)
  local entry = redis.call('HGET', tokens, id)
  local token = entry and cjson.decode(entry)
  return token and token.expiry > now and token or nil
end

-- Stores a resume token with a fresh TTL (ms).
local function store(tokens, id, token, ttl)
  token.expiry = now + ttl
  redis.call('HSET', tokens, id, cjson.encode(token))
  redis.call('PEXPIRE', tokens, ttl)
end
