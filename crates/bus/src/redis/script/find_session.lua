-- Answers nothing unless the session is alive, announced or not: else its opening, time left and timeout (ms).
local session = read()
if session.state ~= 'alive' then
  return {}
end
return { number(session.opened), number(session.deadline - now), number(session.timeout) }
