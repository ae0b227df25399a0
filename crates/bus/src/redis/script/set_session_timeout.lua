-- Sets the timeout of a live session, counted from its last activity; it lasts at least the warning lead from now.
-- Arguments: name of the session, timeout, warning lead (ms). Replies the state of the session.
local session = read()
if is_renewable(session) then
  local last_activity = session.deadline - session.timeout
  session.timeout, session.lead = tonumber(ARGV[2]), tonumber(ARGV[3])
  session.generation = session.generation + 1
  session.deadline = math.max(last_activity + session.timeout, now + session.lead)
  write(session)
end
return answer(session)
