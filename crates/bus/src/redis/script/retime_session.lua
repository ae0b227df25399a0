-- Gives a session that is alive another timeout, counted from its last activity; it lasts at least the lead from now.
-- Keys: session, warn key. Arguments: timeout, lead (ms). Answers where the session stands.
local session = read(KEYS[1])
if type(session) == 'table' then
  local last_activity = session.deadline - session.timeout
  session.timeout, session.lead = tonumber(ARGV[1]), tonumber(ARGV[2])
  session.generation = session.generation + 1
  session.deadline = math.max(last_activity + session.timeout, now + session.lead)
  write(KEYS[1], KEYS[2], session)
end
return answer(session)
