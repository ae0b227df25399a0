-- Marks a device and a network as seen. The set expires with its first mark, and is cleared when full. Prepended to the scripts that
-- need it.
local function mark_seen(seen, run_mark, device, network, ttl, max_marks)
  local marks = redis.call('SCARD', seen)
  if marks > max_marks or (marks > 0 and redis.call('SISMEMBER', seen, run_mark) == 0) then
    redis.call('DEL', seen)
    marks = 0
  end
  redis.call('SADD', seen, run_mark, device, network)
  if marks == 0 then
    redis.call('EXPIRE', seen, ttl)
  end
end
