-- Offset of a user as it is stored: epoch, seq, bytes of its log as of the last publish, and `fresh` while the recent events of
-- the user are not yet published again. Nothing if the offset is missing or was written under another replication id. Prepended,
-- after `replication_id.lua`, to the scripts that need it.
local function known_offset(offset)
  local known = redis.call('HMGET', offset, 'run', 'epoch', 'seq', 'bytes', 'fresh')
  if known[1] == run and known[2] and known[3] then
    return known[2], tonumber(known[3]), tonumber(known[4] or 0), known[5]
  end
end

