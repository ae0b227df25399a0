-- Marks a device and a network as seen. The set expires with its first mark, and is cleared when full. Prepended to the scripts that
-- need it.
local function mark_seen(seen, run_mark, device, network, ttl, max_marks)
  if redis.call('SISMEMBER', seen, run_mark) == 0 or redis.call('SCARD', seen) > max_marks then
    redis.call('DEL', seen)
  end
  redis.call('SADD', seen, run_mark, device, network)
  redis.call('EXPIRE', seen, ttl, 'NX')
end
