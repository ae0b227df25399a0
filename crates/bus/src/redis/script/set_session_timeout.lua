-- Gives a session that is alive another timeout, counted from its last activity; it lasts at least the lead from now.
-- Arguments: its name, timeout, lead (ms). Answers where the session stands.
local session = read()
if is_alive(session) then
  local last_activity = session.deadline - session.timeout
  session.timeout, session.lead = tonumber(ARGV[2]), tonumber(ARGV[3])
  session.generation = session.generation + 1
  session.deadline = math.max(last_activity + session.timeout, now + session.lead)
  write(session)
end
return answer(session)
