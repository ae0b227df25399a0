-- Removes finished entries with their payloads, whichever worker has claimed them.
-- Keys: lane, its size. Arguments: group, distinct entry ids.
local lane, size = KEYS[1], KEYS[2]

local bytes = 0
for number = 2, #ARGV do
  local entry = redis.call('XRANGE', lane, ARGV[number], ARGV[number])[1]
  if entry then
    -- Fields: id, deadline, job.
    bytes = bytes + #entry[2][6]
  end
end
redis.call('XACK', lane, unpack(ARGV))
redis.call('XDEL', lane, unpack(ARGV, 2))
if bytes > 0 then
  redis.call('DECRBY', size, bytes)
end
return {}
