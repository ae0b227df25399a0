-- Marks a device and a network as seen.
-- Keys: seen marks. Arguments: device, network, TTL (seconds), bound of the set.
mark_seen(KEYS[1], 'run ' .. run, ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]))
return {}
