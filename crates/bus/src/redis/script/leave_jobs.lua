-- Leaves jobs that this worker has just claimed and cannot decode to workers of a newer release: their claims expire at once, and none of
-- their deliveries is counted. Entries that another worker has reclaimed stay with that one.
-- Keys: lane. Arguments: group, worker, TTL of a claim (ms), entry ids.
local lane, group, worker, claim_ttl = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
for number = 4, #ARGV do
  local id = ARGV[number]
  local claim = redis.pcall('XPENDING', lane, group, id, id, 1)[1]
  if claim and claim[2] == worker then
    redis.call('XCLAIM', lane, group, worker, 0, id, 'IDLE', claim_ttl, 'RETRYCOUNT', 0, 'JUSTID')
  end
end
return {}
