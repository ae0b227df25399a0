-- Renews a worker's claims. Entries that another worker has reclaimed stay with that one.
-- Keys: lane. Arguments: group, worker, entry ids.
local lane, group, worker = KEYS[1], ARGV[1], ARGV[2]
for number = 3, #ARGV do
  local id = ARGV[number]
  local claim = redis.pcall('XPENDING', lane, group, id, id, 1)[1]
  if claim and claim[2] == worker then
    -- JUSTID does not count a delivery.
    redis.call('XCLAIM', lane, group, worker, 0, id, 'JUSTID')
  end
end
return {}
