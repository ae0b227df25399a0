-- Reads all challenges of a user and kind. Keys: challenges. Replies the values.
local values = {}
for _, entry in ipairs(redis.call('HVALS', KEYS[1])) do
  local _, value = read(entry)
  values[#values + 1] = value
end
return values
