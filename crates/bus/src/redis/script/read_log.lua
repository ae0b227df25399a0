-- Reads the events after an offset.
-- Keys: offset, log. Arguments: fresh epoch, TTL of the offset (seconds), epoch and seq of the offset, limit.
-- Replies the current epoch and seq, then 'gap', or 'events' and for each event its seq and envelope.
local epoch, seq = current_offset(KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]))
renew_offset(KEYS[1], tonumber(ARGV[2]))
local after_epoch, after, limit = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

if after_epoch ~= epoch or after > seq then
  return { epoch, tostring(seq), 'gap' }
end

local answer = { epoch, tostring(seq), 'events' }
if after == seq then
  return answer
end
local expected = after + 1
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], string.format('%d-0', expected), '+', 'COUNT', limit)) do
  local found = tonumber(string.match(entry[1], '^%d+'))
  if found ~= expected then
    return { epoch, tostring(seq), 'gap' }
  end
  answer[#answer + 1] = tostring(found)
  answer[#answer + 1] = entry[2][2]
  expected = expected + 1
end
if #answer == 3 then
  return { epoch, tostring(seq), 'gap' }
end
return answer
