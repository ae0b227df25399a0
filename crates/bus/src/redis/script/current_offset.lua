-- Where a user's order stands: epoch and seq. Prepended to the scripts that need it.
--
-- The order begins anew, in a fresh epoch and with an empty log, when it is unknown or when another history of Redis wrote
-- it: after a failover or a restart from a snapshot, seq may have gone back, and the same places would be given out twice.
local function order(pos, log, fresh, life)
  local run = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  local known = redis.call('HMGET', pos, 'run', 'epoch', 'seq')
  if known[1] == run and known[2] and known[3] then
    -- A reading is a use. Half of the life may pass unrenewed, so that most readings write nothing.
    if redis.call('TTL', pos) < life / 2 then
      redis.call('EXPIRE', pos, life)
    end
    return known[2], tonumber(known[3])
  end
  redis.call('DEL', log, pos)
  redis.call('HSET', pos, 'run', run, 'epoch', fresh, 'seq', 0)
  redis.call('EXPIRE', pos, life)
  return fresh, 0
end
