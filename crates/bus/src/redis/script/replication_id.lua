-- Replication id of this server. It changes with a failover or a restart from a snapshot, after which deleted keys may be back.
-- Prepended to the scripts that need it.
-- INFO is read without a pattern: one costs as much as several commands.
local function replication_id()
  local info = redis.call('INFO', 'replication')
  local _, last = string.find(info, 'master_replid:', 1, true)
  return string.sub(info, last + 1, last + 40)
end
local run = replication_id()
