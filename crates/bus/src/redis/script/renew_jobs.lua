-- Says that a worker still works on entries. Those that were given to another meanwhile stay with that one.
-- Keys: lane. Arguments: group, worker, entry ids.
local lane, group, worker = KEYS[1], ARGV[1], ARGV[2]
for number = 3, #ARGV do
  local id = ARGV[number]
  local held = redis.pcall('XPENDING', lane, group, id, id, 1)[1]
  if held and held[2] == worker then
    -- JUSTID counts no delivery.
    redis.call('XCLAIM', lane, group, worker, 0, id, 'JUSTID')
  end
end
return {}
