-- Replies opening time, remaining time and timeout (ms) of a live session, announced or not; else nothing.
local session = read()
if session.state ~= 'alive' then
  return {}
end
return { number(session.opened), number(session.deadline - now), number(session.timeout) }
