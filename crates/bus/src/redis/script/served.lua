-- Times of the last claim from a lane and of the last check of it, by which a lane without workers is found. Prepended to the scripts
-- that need it.
local SERVED_TTL = 60000

local function now_ms()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end

-- Records that a worker claims from the lane.
local function mark_served(served, now)
  redis.call('HSET', served, 'claimed', string.format('%d', now))
  redis.call('PEXPIRE', served, SERVED_TTL)
end

-- Reports whether a worker has claimed from the lane within the limit (ms). Where the last check is older than that, no worker could
-- have claimed (this server stalled) or nobody knows (it was flushed, its clock has gone back): the time begins anew.
local function is_served(served, limit, now)
  local times = redis.call('HMGET', served, 'claimed', 'checked')
  local claimed, checked = tonumber(times[1] or ''), tonumber(times[2] or '')
  if not (claimed and checked and claimed <= now and checked <= now and now - checked < limit) then
    claimed = now
    checked = 0
    mark_served(served, now)
  end
  if now - checked >= 1000 then
    redis.call('HSET', served, 'checked', string.format('%d', now))
    redis.call('PEXPIRE', served, SERVED_TTL)
  end
  return now - claimed < limit
end

