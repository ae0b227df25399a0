-- Gives a session that is alive its whole timeout again.
-- Keys: session, warn key. Answers `1` when the warning had been due, else `0`, and where the session stands.
local session = read(KEYS[1])
local after_warning = '0'
if type(session) == 'table' then
  if session.deadline - session.lead <= now then
    after_warning = '1'
  end
  session.generation = session.generation + 1
  session.deadline = math.max(session.deadline, now + session.timeout)
  write(KEYS[1], KEYS[2], session)
end
return { after_warning, answer(session) }
