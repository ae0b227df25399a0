-- Ends all sessions of a user that were opened by a time, unless a later such end is stored.
-- Keys: end of all. Arguments: time, key of the excepted session or empty, TTL (ms).
local known = string.match(redis.call('GET', KEYS[1]) or '', '^%d+')
if tonumber(known or '0') <= tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
end
return ''
