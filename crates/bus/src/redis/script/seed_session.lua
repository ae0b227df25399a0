-- Makes a session known, unless it is known, or was ended since it was opened, or its end was announced with another number.
-- Arguments: its name, time left, timeout, lead (ms), opening, newest token (0: not known), number of an announced end (0: none).
-- Answers where the session stands.
local session = read()
local opened, newest, announced = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local is_resolved = announced > 0 and session.announced == announced
local is_before = session.state == 'unknown'
  or (session.state == 'ended' and session.at < opened)
  or (is_resolved and (session.state == 'ending' or session.opened < opened))
if is_before and not ended_with_all(opened) then
  session = {
    state = 'alive',
    -- The time of day: higher than every generation before it, as activity counts in ones.
    generation = math.max(now, (session.generation or 0) + 1),
    deadline = now + tonumber(ARGV[2]),
    timeout = tonumber(ARGV[3]),
    lead = tonumber(ARGV[4]),
    newest = newest,
    opened = opened,
    announced = 0,
  }
  write(session)
elseif is_before then
  session = { state = 'ended' }
elseif is_resolved then
  session.announced, session.newest = 0, math.max(session.newest, newest)
  store(session)
end
return answer(session)
