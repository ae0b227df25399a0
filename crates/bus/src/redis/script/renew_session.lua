-- Renews a live session for its whole timeout.
-- Arguments: name of the session. Replies `1` if the warning had been due, else `0`, and the state of the session.
local session = read()
local after_warning = '0'
if is_renewable(session) then
  if session.deadline - session.lead <= now then
    after_warning = '1'
  end
  session.generation = session.generation + 1
  session.deadline = math.max(session.deadline, now + session.timeout)
  write(session)
end
return { after_warning, answer(session) }
