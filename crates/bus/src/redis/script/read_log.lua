-- What came after a place in a user's order.
-- Keys: position, log. Arguments: fresh epoch, life of the order (seconds), epoch and seq after which, how many at most.
-- Answers epoch and seq of now, then 'lost', or 'held' and for each event its seq and envelope.
local epoch, seq = order(KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]))
local after_epoch, after, limit = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

if after_epoch ~= epoch or after > seq then
  return { epoch, tostring(seq), 'lost' }
end

local answer = { epoch, tostring(seq), 'held' }
if after == seq then
  return answer
end
local expected = after + 1
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], string.format('%.0f-0', expected), '+', 'COUNT', limit)) do
  local place = tonumber(string.match(entry[1], '^%d+'))
  if place ~= expected then
    return { epoch, tostring(seq), 'lost' }
  end
  answer[#answer + 1] = tostring(place)
  answer[#answer + 1] = entry[2][2]
  expected = expected + 1
end
if #answer == 3 then
  return { epoch, tostring(seq), 'lost' }
end
return answer
