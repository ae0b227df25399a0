-- Registers a session, unless it is known, was ended since its opening, or has an announced end with another number.
-- Arguments: name of the session, remaining time, timeout, warning lead (ms), opening time, newest time of issue and latest expiry of
-- its tokens (0: unknown), number of an announced end (0: none).
-- Replies the state of the session.
local session = read()
local opened, newest, expiry, announced = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local is_resolved = announced > 0 and session.announced == announced
local is_registrable = session.state == 'unknown'
  or (session.state == 'ended' and session.at < opened)
  or (is_resolved and (session.state == 'ending' or session.opened < opened))
if is_registrable and not ended_with_all(opened) then
  session = {
    state = 'alive',
    -- The time in ms: higher than all earlier generations, as renewals increment by one.
    generation = math.max(now, (session.generation or 0) + 1),
    deadline = now + tonumber(ARGV[2]),
    timeout = tonumber(ARGV[3]),
    lead = tonumber(ARGV[4]),
    newest = newest,
    expiry = expiry,
    opened = opened,
    announced = 0,
  }
  write(session)
elseif is_registrable then
  session = { state = 'ended' }
elseif is_resolved then
  session.announced, session.newest, session.expiry = 0, math.max(session.newest, newest), math.max(session.expiry, expiry)
  store(session)
end
return answer(session)
