-- Lists jobs of a lane, oldest first, with their claims.
-- Keys: lane. Arguments: group, first and last entry id, limit.
-- Replies for each its entry id, its fields, its deliveries, its worker, and the time since its claim was renewed (ms); 0, '' and 0 if no
-- worker has claimed it.
local lane, group, first, last, limit = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local jobs = {}
for _, entry in ipairs(redis.call('XRANGE', lane, first, last, 'COUNT', limit)) do
  local id = entry[1]
  local pending = redis.pcall('XPENDING', lane, group, id, id, 1)
  -- No group: nothing has been claimed on this Redis.
  local claim = not pending.err and pending[1] or { id, '', 0, 0 }
  jobs[#jobs + 1] = { id, entry[2], claim[4], claim[2], claim[3] }
end
return jobs
