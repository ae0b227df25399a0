-- Current offset of a user, as `known_offset` has it. Prepended, after `known_offset.lua`, to the scripts that need it.
--
-- A fresh epoch with an empty log starts if the offset is missing or was written under another replication id: after a failover
-- or a restart from a snapshot seq may have gone back, and the same offsets would be assigned twice. While a slot migrates, a
-- script may stop between the DEL and the HSET; repeated, it starts the epoch.
local function current_offset(offset, log, fresh_epoch, ttl)
  local epoch, seq, bytes, fresh = known_offset(offset)
  if epoch then
    return epoch, seq, bytes, fresh
  end
  redis.call('DEL', log, offset)
  redis.call('HSET', offset, 'run', run, 'epoch', fresh_epoch, 'seq', 0, 'fresh', 1)
  redis.call('EXPIRE', offset, ttl)
  return fresh_epoch, 0, 0, '1'
end

-- Renews the TTL of an offset, only in its second half, so that most uses write nothing.
local function renew_offset(offset, ttl)
  if redis.call('TTL', offset) < ttl / 2 then
    redis.call('EXPIRE', offset, ttl)
  end
end
