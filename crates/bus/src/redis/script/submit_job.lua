-- Queues a job, if the lane has room for it.
-- Keys: lane, its byte count. Arguments: job id, job, patience (ms), how many entries and how many bytes at most.
-- Answers 1, or 0 when the lane is full.
local lane, bytes = KEYS[1], KEYS[2]
local id, job, patience = ARGV[1], ARGV[2], tonumber(ARGV[3])
local most_entries, most_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])

local entries = redis.call('XLEN', lane)
-- An empty lane holds nothing, whatever was counted: here a count that went wrong heals.
local held = entries > 0 and tonumber(redis.call('GET', bytes) or '0') or 0
if entries >= most_entries or held + #job > most_bytes then
  return 0
end

local now = redis.call('TIME')
local deadline = now[1] * 1000 + math.floor(now[2] / 1000) + patience
redis.call('SET', bytes, string.format('%.0f', held + #job))
redis.call('XADD', lane, '*', 'id', id, 'deadline', string.format('%.0f', deadline), 'job', job)
return 1
