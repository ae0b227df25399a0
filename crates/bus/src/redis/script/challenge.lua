-- The challenges of one kind that a user has: a hash of name to `<end (us)> <value>`. Prepended to the scripts that need it.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- The end of an entry, and its value while it has not ended.
local function read(entry)
  local ends, value = string.match(entry or '', '^(%d+) ()')
  ends = tonumber(ends or 0)
  return ends, ends > now and string.sub(entry, value) or nil
end
