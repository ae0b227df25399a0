-- Announces that the end of a session is about to be committed. Arguments: its name, how long that is remembered of one that is
-- not alive (ms). Answers `1` when it was alive, else `0`, and its newest token (0: not known).
local session = read()
if session.state == 'alive' then
  session.generation = session.generation + 1
  session.announced = session.generation
  store(session)
  return { '1', number(session.newest) }
end
local announced = math.max(now, (session.announced or 0) + 1)
redis.call('SET', KEYS[1], 'ending ' .. number(announced), 'PX', ARGV[2])
return { '0', '0' }
