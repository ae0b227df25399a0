-- What is known of a user and of where a socket of theirs comes from.
-- Keys: devices and networks, open alerts. Arguments: device, network.
-- Answers 1 or 0: the two were seen; no alert is open.
local seen = true
for _, known in ipairs(redis.call('SMISMEMBER', KEYS[1], 'run ' .. run, ARGV[1], ARGV[2])) do
  seen = seen and known == 1
end
local none_open = redis.call('GET', KEYS[2]) == run .. ' none'
return { seen and '1' or '0', none_open and '1' or '0' }
