-- Announces that the end of a session is about to be committed.
-- Arguments: name of the session, TTL of the announcement if it is not alive (ms).
-- Replies `1` if it was alive, else `0`, and the newest time of issue and latest expiry of its tokens (0: unknown).
local session = read()
if session.state == 'alive' then
  session.generation = session.generation + 1
  session.announced = session.generation
  store(session)
  return { '1', number(session.newest), number(session.expiry) }
end
local announced = math.max(now, (session.announced or 0) + 1)
redis.call('SET', KEYS[1], 'ending ' .. number(announced), 'PX', ARGV[2])
return { '0', '0', '0' }
