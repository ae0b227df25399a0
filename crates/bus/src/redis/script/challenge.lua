-- Challenges of a user and kind: a hash of name to `<expiry (us)> <value>`. Prepended to the scripts that need it.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- Expiry of an entry, and its value unless expired.
local function read(entry)
  local expiry, value = string.match(entry or '', '^(%d+) ()')
  expiry = tonumber(expiry or 0)
  return expiry, expiry > now and string.sub(entry, value) or nil
end
