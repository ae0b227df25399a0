-- What sessions are, for the scripts that this is prepended to.
--
-- A session is a string: run, generation, deadline, timeout, lead (ms), or `ended`. Its TTL ends at the deadline, that of its
-- warn key at the moment of the warning. One that another history of Redis wrote counts as unknown: after a failover its
-- deadline may have gone back.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local this_run = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local pattern = '^(%x+) (%d+) (%d+) (%d+) (%d+)$'

local function number(value)
  return string.format('%.0f', value)
end

local function read(key)
  local value = redis.call('GET', key)
  if not value or value == 'ended' then
    return value
  end
  local run, generation, deadline, timeout, lead = string.match(value, pattern)
  if run ~= this_run or tonumber(deadline) <= now then
    return false
  end
  return {
    generation = tonumber(generation),
    deadline = tonumber(deadline),
    timeout = tonumber(timeout),
    lead = tonumber(lead),
  }
end

local function write(key, warn, session)
  local fields = { session.generation, session.deadline, session.timeout, session.lead }
  for index, field in ipairs(fields) do
    fields[index] = number(field)
  end
  redis.call('SET', key, this_run .. ' ' .. table.concat(fields, ' '), 'PXAT', number(session.deadline))
  local warn_at = session.deadline - session.lead
  if warn_at > now then
    redis.call('SET', warn, '', 'PXAT', number(warn_at))
  else
    redis.call('DEL', warn)
  end
end

-- `unknown`, `ended`, or `alive` with generation, time left, time until the warning, timeout, lead (ms).
local function answer(session)
  if not session then
    return { 'unknown' }
  end
  if session == 'ended' then
    return { 'ended' }
  end
  local warns_in = math.max(0, session.deadline - session.lead - now)
  return {
    'alive',
    number(session.generation),
    number(session.deadline - now),
    number(warns_in),
    number(session.timeout),
    number(session.lead),
  }
end
