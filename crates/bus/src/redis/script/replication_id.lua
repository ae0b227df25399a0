-- Replication id of this server. It changes with a failover or a restart from a snapshot, after which deleted keys may be back.
-- Prepended to the scripts that need it.
local run = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
