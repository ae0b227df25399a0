-- Records the times of a live session's token, where they are the newest.
-- Arguments: name of the session, time of issue, expiry (0: unknown). Replies the state of the session.
local session = read()
local issued, expiry = tonumber(ARGV[2]), tonumber(ARGV[3])
if session.state == 'alive' and (issued > session.newest or expiry > session.expiry) then
  session.newest, session.expiry = math.max(issued, session.newest), math.max(expiry, session.expiry)
  store(session)
end
return answer(session)
