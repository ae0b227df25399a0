-- Gives a session that is alive its whole timeout again.
-- Arguments: its name. Answers `1` when the warning had been due, else `0`, and where the session stands.
local session = read()
local after_warning = '0'
if is_alive(session) then
  if session.deadline - session.lead <= now then
    after_warning = '1'
  end
  session.generation = session.generation + 1
  session.deadline = math.max(session.deadline, now + session.timeout)
  write(session)
end
return { after_warning, answer(session) }
