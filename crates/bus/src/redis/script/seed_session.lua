-- Makes a session known, unless it is known, or was ended and stays so.
-- Keys: session, warn key. Arguments: time left, timeout, lead (ms), `1` to begin where it was ended. Answers where the session stands.
local session = read(KEYS[1])
if not session or (session == 'ended' and ARGV[4] == '1') then
  -- The time of day: higher than every generation before it, as activity counts in ones.
  session = {
    generation = now,
    deadline = now + tonumber(ARGV[1]),
    timeout = tonumber(ARGV[2]),
    lead = tonumber(ARGV[3]),
  }
  write(KEYS[1], KEYS[2], session)
end
return answer(session)
