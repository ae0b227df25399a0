-- Keeps when the newest token was issued that was presented in a session that is alive.
-- Arguments: its name, when this one was issued (0: it does not say). Answers where the session stands.
local session = read()
local issued = tonumber(ARGV[2])
if session.state == 'alive' and issued > session.newest then
  session.newest = issued
  store(session)
end
return answer(session)
