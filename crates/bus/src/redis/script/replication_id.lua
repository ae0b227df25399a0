-- The history that this server writes: another one after a failover or a restart from a snapshot, where what was deleted may
-- be back. Prepended to the scripts that need it.
local run = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
