-- Queues a job, if the lane has capacity.
-- Keys: lane, its size. Arguments: job id, job, time until its deadline (ms), bound in jobs, bound in bytes.
-- Replies 1, or 0 if the lane is full.
local lane, size = KEYS[1], KEYS[2]
local id, job, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
local max_jobs, max_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])

local entries = redis.call('XLEN', lane)
-- An empty lane has no bytes: this resets a size that went wrong.
local bytes = entries > 0 and tonumber(redis.call('GET', size) or '0') or 0
if entries >= max_jobs or bytes + #job > max_bytes then
  return 0
end

local now = redis.call('TIME')
local deadline = now[1] * 1000 + math.floor(now[2] / 1000) + ttl
redis.call('SET', size, string.format('%.0f', bytes + #job))
redis.call('XADD', lane, '*', 'id', id, 'deadline', string.format('%.0f', deadline), 'job', job)
return 1
