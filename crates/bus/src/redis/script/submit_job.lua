-- Queues a job, if the lane is served and has capacity.
-- Keys: lane, its size, its times. Arguments: job id, job, time until its deadline (ms), bound in jobs, bound in bytes, time without a
-- claim after which it is not served (ms).
-- Replies 1, 0 if the lane is full, or -1 if it is not served.
local lane, size, served = KEYS[1], KEYS[2], KEYS[3]
local id, job, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
local max_jobs, max_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local unserved_after, now = tonumber(ARGV[6]), now_ms()

if not is_served(served, unserved_after, now) then
  return -1
end

local entries = redis.call('XLEN', lane)
if entries >= max_jobs or #job > max_bytes then
  return 0
end
if entries == 0 then
  -- An empty lane has no bytes: this resets a size that went wrong.
  redis.call('SET', size, #job)
elseif redis.call('INCRBY', size, #job) > max_bytes then
  redis.call('DECRBY', size, #job)
  return 0
end

redis.call('XADD', lane, '*', 'id', id, 'deadline', string.format('%d', now + ttl), 'job', job)
return 1
