-- Encoding of sessions. Prepended to the scripts that need it, after `replication_id.lua`.
-- Keys: session, warning, index of the user's sessions, end of all. First argument: name of the session in the index.
--
-- A session is a string: version, replication id, generation, deadline, timeout, warning lead (ms), newest time of issue and latest
-- expiry of its tokens (0: unknown), opening time, number of an announced end (0: none). Numbers but the first and the last are padded
-- with zeros, timeout and lead to 10 digits, the others to 13: `join_socket.lua` reads them by their place. A session of another
-- version counts as unknown. The key expires at the deadline, the warning key when the
-- warning is due. A session written under another replication id counts as unknown: a failover may have restored an older deadline.
-- A session that is not alive may be `ending` with the number of the announced end, or `ended` with the time of its end.
--
-- The index has the live sessions by deadline. Those above `bound` are dropped by `drop_sessions.lua`: their keys are not
-- declared here, and a script must not use others. The end of all is a time and the key of the excepted session; under one of another
-- form each session counts as unknown, so that a worker is asked, whose store has that end.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local pattern = '^2 (%x+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$'

local function number(value)
  return string.format('%d', value)
end

-- Time at which a session opened at this time ended with all others, if it did; nothing, and true, if the end is of another form.
local function ended_with_all(opened)
  local ended = redis.call('GET', KEYS[4])
  local at, except = string.match(ended or '', '^(%d+) (.*)$')
  if at and opened <= tonumber(at) and except ~= KEYS[1] then
    return tonumber(at)
  end
  return nil, ended and not at
end

-- Session with `state`: `unknown`, `ended` (`at`), `ending` (`announced`) or `alive`; an alive one may have an announced end too.
local function read()
  local value = redis.call('GET', KEYS[1]) or ''
  local kind, detail = string.match(value, '^(end%l+) (%d+)$')
  if kind == 'ended' then
    return { state = 'ended', at = tonumber(detail) }
  elseif kind == 'ending' then
    return { state = 'ending', announced = tonumber(detail) }
  end
  local written_under, generation, deadline, timeout, lead, newest, expiry, opened, announced = string.match(value, pattern)
  if written_under ~= run or tonumber(deadline) <= now then
    return { state = 'unknown' }
  end
  local at, is_of_another_form = ended_with_all(tonumber(opened))
  if at then
    return { state = 'ended', at = at }
  elseif is_of_another_form then
    return { state = 'unknown' }
  end
  return {
    state = 'alive',
    generation = tonumber(generation),
    deadline = tonumber(deadline),
    timeout = tonumber(timeout),
    lead = tonumber(lead),
    newest = tonumber(newest),
    expiry = tonumber(expiry),
    opened = tonumber(opened),
    announced = tonumber(announced),
  }
end

-- Stores a session with an unchanged deadline.
local function store(session)
  local value = string.format(
    '2 %s %013d %013d %010d %010d %013d %013d %013d %d',
    run,
    session.generation,
    session.deadline,
    session.timeout,
    session.lead,
    session.newest,
    session.expiry,
    session.opened,
    session.announced
  )
  redis.call('SET', KEYS[1], value, 'PXAT', number(session.deadline))
end

-- Sessions above the bound: those with the earliest deadlines.
local surplus = {}

-- Adds a session to the index, and finds those above the bound.
local function index(session)
  local sids, name = KEYS[3], ARGV[1]
  redis.call('ZADD', sids, number(session.deadline), name)
  if redis.call('ZCARD', sids) == 1 then
    redis.call('PEXPIREAT', sids, number(session.deadline))
    return
  end
  redis.call('ZREMRANGEBYSCORE', sids, '-inf', number(now))
  local excess = redis.call('ZCARD', sids) - bound
  for _, other in ipairs(excess > 0 and redis.call('ZRANGE', sids, 0, excess) or {}) do
    if #surplus < excess and other ~= name then
      surplus[#surplus + 1] = other
    end
  end
  local last = redis.call('ZRANGE', sids, -1, -1, 'WITHSCORES')
  redis.call('PEXPIREAT', sids, number(tonumber(last[2])))
end

-- Stores a session with a new deadline.
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

local function is_renewable(session)
  return session.state == 'alive' and session.announced == 0
end

-- Reply: `unknown`, `ended`, `ending` with the number of the announcement, or `alive` with generation, remaining time, time until
-- the warning, timeout, warning lead (ms), latest expiry of a token (0: unknown), and the names of the sessions to drop.
local function answer(session)
  if session.state ~= 'alive' then
    return { session.state, session.state == 'ending' and number(session.announced) or nil }
  end
  if session.announced > 0 then
    return { 'ending', number(session.announced) }
  end
  local until_warning = math.max(0, session.deadline - session.lead - now)
  return {
    'alive',
    number(session.generation),
    number(session.deadline - now),
    number(until_warning),
    number(session.timeout),
    number(session.lead),
    number(session.expiry),
    unpack(surplus),
  }
end
