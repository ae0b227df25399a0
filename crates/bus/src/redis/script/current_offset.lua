-- Current offset of a user: epoch and seq, and the bytes of its log as of the last publish. Prepended, after `replication_id.lua`, to the
-- scripts that need it.
--
-- A fresh epoch with an empty log starts if the offset is missing or was written under another replication id: after a failover
-- or a restart from a snapshot seq may have gone back, and the same offsets would be assigned twice.
local function current_offset(offset, log, fresh_epoch, ttl)
  local known = redis.call('HMGET', offset, 'run', 'epoch', 'seq', 'bytes')
  if known[1] == run and known[2] and known[3] then
    return known[2], tonumber(known[3]), tonumber(known[4] or 0)
  end
  redis.call('DEL', log, offset)
  redis.call('HSET', offset, 'run', run, 'epoch', fresh_epoch, 'seq', 0)
  redis.call('EXPIRE', offset, ttl)
  return fresh_epoch, 0, 0
end

-- Renews the TTL of an offset, only in its second half, so that most uses write nothing.
local function renew_offset(offset, ttl)
  if redis.call('TTL', offset) < ttl / 2 then
    redis.call('EXPIRE', offset, ttl)
  end
end
