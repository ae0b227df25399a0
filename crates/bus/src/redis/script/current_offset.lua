-- Current offset of a user: epoch and seq, and the bytes of its log as of the last publish. Prepended to the scripts that need it.
--
-- A fresh epoch with an empty log starts if the offset is missing or was written under another replication id: after a failover
-- or a restart from a snapshot seq may have gone back, and the same offsets would be assigned twice. The replication id is read
-- unless it is given; without a pattern, as one costs as much as several commands.
local function current_offset(offset, log, fresh_epoch, ttl, run)
  if not run then
    local info = redis.call('INFO', 'replication')
    local _, last = string.find(info, 'master_replid:', 1, true)
    run = string.sub(info, last + 1, last + 40)
  end
  local known = redis.call('HMGET', offset, 'run', 'epoch', 'seq', 'bytes')
  if known[1] == run and known[2] and known[3] then
    -- The TTL is renewed only in its second half, so that most reads write nothing.
    if redis.call('TTL', offset) < ttl / 2 then
      redis.call('EXPIRE', offset, ttl)
    end
    return known[2], tonumber(known[3]), tonumber(known[4] or 0)
  end
  redis.call('DEL', log, offset)
  redis.call('HSET', offset, 'run', run, 'epoch', fresh_epoch, 'seq', 0)
  redis.call('EXPIRE', offset, ttl)
  return fresh_epoch, 0, 0
end
