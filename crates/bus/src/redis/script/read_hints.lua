-- Reads the hints of a user and of a socket's origin.
-- Keys: seen marks, alert check. Arguments: device, network.
-- Replies 1 or 0 twice: both marks are set; no alert is open.
local seen = true
for _, known in ipairs(redis.call('SMISMEMBER', KEYS[1], 'run ' .. run, ARGV[1], ARGV[2])) do
  seen = seen and known == 1
end
local no_open_alerts = redis.call('GET', KEYS[2]) == run .. ' none'
return { seen and '1' or '0', no_open_alerts and '1' or '0' }
