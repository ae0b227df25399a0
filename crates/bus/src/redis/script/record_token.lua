-- Records the time of issue of a live session's token, if it is the newest.
-- Arguments: name of the session, time of issue (0: unknown). Replies the state of the session.
local session = read()
local issued = tonumber(ARGV[2])
if session.state == 'alive' and issued > session.newest then
  session.newest = issued
  store(session)
end
return answer(session)
