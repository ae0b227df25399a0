-- Assigns the next offsets to events of one user, appends them to the log and publishes them, in their sequence.
-- Keys: offset, log, event ids, and if an alert is among the events the alert check, which is withdrawn first. The channel is not declared
-- as a key: a missing key is an error while its slot migrates.
-- Arguments: channel, phase (`immediate`, empty for events that wait for the restore, or the epoch that a restore publishes in), time of
-- the publish (ms); then for each event its envelope, its id if it is published once per id, or nothing, and the mark of its content if a
-- repetition is compared, or nothing. TTLs (seconds) and bounds are constants above the script.
-- Replies `<epoch>-<seq>` for each event, nothing for one whose id was published before, or `conflict` where that was with other content;
-- or, before it has written anything, `unrestored` for a log without a current offset, and for one whose recent events are to be published
-- again first.
--
-- Each publish runs this, most of them with one event, so it calls few commands, and makes no string of the envelope's length but the
-- message: Lua hashes each string byte by byte.
local offset, log, ids, alert_check = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local channel, phase, now = ARGV[1], ARGV[2], ARGV[3]

if alert_check then
  redis.call('DEL', alert_check)
end

local epoch, last, bytes, fresh = known_offset(offset)
if not epoch or (fresh and phase ~= epoch and phase ~= 'immediate') then
  return 'unrestored'
end

-- Records an id with the mark of its content, and returns the number of new members; or nothing and the reply if it is known. The
-- fraction of an id's score says what else is recorded: `.5` a mark, `.25` none, as the event is to be published once, whatever it holds;
-- releases before had none. A mark stands right behind its id: it has the same score, and begins with the id.
local function record(id, content)
  local score = now .. (content == '' and '.25' or '.5')
  local mark = id .. content
  if redis.call('ZADD', ids, 'NX', score, id) == 1 then
    if content == '' then
      return 1
    end
    redis.call('ZADD', ids, score, mark)
    return 2
  end
  if content == '' or redis.call('ZSCORE', ids, mark) then
    return nil, ''
  end
  local known = redis.call('ZSCORE', ids, id)
  return nil, string.find(known, '.', 1, true) and 'conflict' or ''
end

-- An expired log has no bytes.
local log_ttl = redis.call('TTL', log)
bytes = log_ttl == -2 and 0 or bytes
local assigned, events, recorded, first = {}, nil, 0, last
for i = 4, #ARGV, 3 do
  local envelope, id = ARGV[i], ARGV[i + 1]
  local members, refused = 0, nil
  if id ~= '' then
    members, refused = record(id, ARGV[i + 2])
  end
  if refused then
    assigned[#assigned + 1] = refused
  else
    recorded = recorded + members
    bytes = bytes + #envelope
    -- The log has no more entries than its epoch had events.
    if not events and (last >= MAX_LOG_EVENTS or bytes > MAX_LOG_BYTES) then
      events = redis.call('XLEN', log)
    end
    while events and (events >= MAX_LOG_EVENTS or (bytes > MAX_LOG_BYTES and events > 0)) do
      local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
      events, bytes = events - 1, bytes - #oldest[2][2]
      redis.call('XDEL', log, oldest[1])
    end
    last, events = last + 1, events and events + 1
    -- The seq is the entry's id, so that a gap in the log is detected.
    local seq = string.format('%d', last)
    redis.call('XADD', log, seq .. '-0', 'event', envelope)
    assigned[#assigned + 1] = epoch .. '-' .. seq
  end
end
if last == first then
  return assigned
end

redis.call('HSET', offset, 'seq', string.format('%d', last), 'bytes', string.format('%d', bytes))
if recorded > 0 then
  local known = redis.call('ZCARD', ids)
  if known == recorded then
    redis.call('EXPIRE', ids, OFFSET_TTL)
  elseif known > MAX_EVENT_IDS then
    redis.call('ZREMRANGEBYRANK', ids, 0, -MAX_EVENT_IDS - 1)
  end
end
-- The TTLs of offset and ids are much longer than that of the log, and renewed with it.
if log_ttl < LOG_TTL then
  redis.call('EXPIRE', log, LOG_TTL + LOG_TTL_SLACK)
  redis.call('EXPIRE', offset, OFFSET_TTL)
  redis.call('EXPIRE', ids, OFFSET_TTL)
end

for i, position in ipairs(assigned) do
  if position ~= '' and position ~= 'conflict' then
    redis.call('SPUBLISH', channel, position .. ' ' .. ARGV[3 * i + 1])
  end
end
return assigned
