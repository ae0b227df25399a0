-- Marks the origin of a recorded sign-in as seen and records that no alert is open, if its check is still the current one. Prepended to
-- the script that seeds its session.
-- Keys after those of the session: seen marks, alert check. Arguments after those of the seed: name of the check, device, network,
-- TTL of the hints (seconds), bound of the marks.
if redis.call('GET', KEYS[6]) == run .. ' check ' .. ARGV[9] then
  redis.call('SET', KEYS[6], run .. ' none', 'EX', ARGV[12])
  mark_seen(KEYS[5], 'run ' .. run, ARGV[10], ARGV[11], ARGV[12], tonumber(ARGV[13]))
end

