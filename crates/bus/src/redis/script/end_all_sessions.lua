-- Ends all sessions of a user that were opened by a time, unless that was done with a later one.
-- Keys: end of all. Arguments: the time, the key of a session that is excepted or nothing, how long this is remembered (ms).
local known = string.match(redis.call('GET', KEYS[1]) or '', '^%d+')
if tonumber(known or '0') <= tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
end
return ''
