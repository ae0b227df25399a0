-- Keys: challenges. Answers all values.
local values = {}
for _, entry in ipairs(redis.call('HVALS', KEYS[1])) do
  local _, value = read(entry)
  values[#values + 1] = value
end
return values
