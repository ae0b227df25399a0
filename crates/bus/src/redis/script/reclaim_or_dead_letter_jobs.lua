-- Reclaims the entries with expired claims for a worker. Removes those past their deadline; those that a second worker lost
-- become dead letters. Jobs of a newer version than this worker decodes are left to workers of a newer release. Records that the worker
-- serves the lane.
-- Keys: lane, its size, dead letters, its times.
-- Arguments: group, worker, TTL of a claim (ms), limit, bound of the deliveries, bound of the dead letters, newest version of a job that the
-- worker decodes, kinds of jobs that a dead letter keeps.
-- Replies the entries as XREADGROUP does.
local lane, size, dead_letters, served = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, worker, claim_ttl = ARGV[1], ARGV[2], ARGV[3]
local limit, max_deliveries, max_dead_letters = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local newest_version = tonumber(ARGV[7])
local kept_kinds = { unpack(ARGV, 8) }
local now = now_ms()

mark_served(served, now)

-- The version is the first member of the JSON of a job.
local function is_newer(job)
  local version = string.match(job, '^{"v":(%d+)')
  return version and tonumber(version) > newest_version
end

local claimed, first = {}, '-'
repeat
  local pending = redis.pcall('XPENDING', lane, group, 'IDLE', claim_ttl, first, '+', limit)
  if pending.err then
    -- No group: nothing has been claimed on this Redis.
    return {}
  end
  for _, claim in ipairs(pending) do
    local id, deliveries = claim[1], claim[4]
    local entry = redis.call('XRANGE', lane, id, id)[1]
    if not entry then
      redis.call('XACK', lane, group, id)
    elseif tonumber(entry[2][4]) <= now then
      remove(lane, size, group, id)
    elseif is_newer(entry[2][6]) then
      first = '(' .. id
    elseif deliveries >= max_deliveries then
      remove(lane, size, group, id)
      local fields = dead_letter(entry, deliveries, kept_kinds)
      redis.call('XADD', dead_letters, 'MAXLEN', '~', max_dead_letters, '*', unpack(fields))
    else
      redis.call('XCLAIM', lane, group, worker, 0, id)
      claimed[#claimed + 1] = entry
    end
  end
  -- Behind a page of jobs that are left, others may wait.
until #claimed > 0 or #pending < limit
return claimed
