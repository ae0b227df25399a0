-- What sessions are, for the scripts that this is prepended to.
-- Keys: session, warn key, index of its user's sessions, end of all. First argument: the session's name in the index.
--
-- A session is a string: run, generation, deadline, timeout, lead (ms), the newest time at which a token of it was issued (0: not
-- known), its opening, the number of an announced end (0: none). Its TTL ends at the deadline, that of its warn key at the moment
-- of the warning. One that another history of Redis wrote counts as unknown: after a failover its deadline may have gone back.
-- One that is not alive may be `ending` with the number of the announced end, or `ended` with the time of its end.
--
-- The index holds the sessions that are alive, by deadline: `most` of them. The end of all is a time and the key of a session that it excepts.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local this_run = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local pattern = '^(%x+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$'

local function number(value)
  return string.format('%.0f', value)
end

-- When a session that was opened then has ended with all others.
local function ended_with_all(opened)
  local at, but = string.match(redis.call('GET', KEYS[4]) or '', '^(%d+) (.*)$')
  if at and opened <= tonumber(at) and but ~= KEYS[1] then
    return tonumber(at)
  end
end

-- The session, with `state`: `unknown`, `ended` (`at`), `ending` (`announced`) or `alive`; an alive one may be announced too.
local function read()
  local value = redis.call('GET', KEYS[1]) or ''
  local kind, detail = string.match(value, '^(end%l+) (%d+)$')
  if kind == 'ended' then
    return { state = 'ended', at = tonumber(detail) }
  elseif kind == 'ending' then
    return { state = 'ending', announced = tonumber(detail) }
  end
  local run, generation, deadline, timeout, lead, newest, opened, announced = string.match(value, pattern)
  if run ~= this_run or tonumber(deadline) <= now then
    return { state = 'unknown' }
  end
  local at = ended_with_all(tonumber(opened))
  if at then
    return { state = 'ended', at = at }
  end
  return {
    state = 'alive',
    generation = tonumber(generation),
    deadline = tonumber(deadline),
    timeout = tonumber(timeout),
    lead = tonumber(lead),
    newest = tonumber(newest),
    opened = tonumber(opened),
    announced = tonumber(announced),
  }
end

-- Writes what changes no deadline.
local function store(session)
  local fields = {
    session.generation,
    session.deadline,
    session.timeout,
    session.lead,
    session.newest,
    session.opened,
    session.announced,
  }
  for index, field in ipairs(fields) do
    fields[index] = number(field)
  end
  redis.call('SET', KEYS[1], this_run .. ' ' .. table.concat(fields, ' '), 'PXAT', number(session.deadline))
end

-- Puts a session into the index. Of more than the bound, the one that ends first is forgotten.
local function index(session)
  local sids, name = KEYS[3], ARGV[1]
  redis.call('ZREMRANGEBYSCORE', sids, '-inf', number(now))
  redis.call('ZADD', sids, number(session.deadline), name)
  local surplus = redis.call('ZCARD', sids) - most
  for _, other in ipairs(surplus > 0 and redis.call('ZRANGE', sids, 0, surplus) or {}) do
    if surplus > 0 and other ~= name then
      redis.call('ZREM', sids, other)
      -- All keys of a user are in one slot, and differ in the session's name alone.
      redis.call('DEL', string.sub(KEYS[1], 1, -#name - 1) .. other, string.sub(KEYS[2], 1, -#name - 1) .. other)
      surplus = surplus - 1
    end
  end
  local last = redis.call('ZRANGE', sids, -1, -1, 'WITHSCORES')
  redis.call('PEXPIREAT', sids, number(tonumber(last[2])))
end

local function write(session)
  store(session)
  local warn_at = session.deadline - session.lead
  if warn_at > now then
    redis.call('SET', KEYS[2], '', 'PXAT', number(warn_at))
  else
    redis.call('DEL', KEYS[2])
  end
  index(session)
end

local function is_alive(session)
  return session.state == 'alive' and session.announced == 0
end

-- `unknown`, `ended`, `ending` with the number of the announcement, or `alive` with generation, time left, time until the warning,
-- timeout, lead (ms).
local function answer(session)
  if session.state ~= 'alive' then
    return { session.state, session.state == 'ending' and number(session.announced) or nil }
  end
  if session.announced > 0 then
    return { 'ending', number(session.announced) }
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
