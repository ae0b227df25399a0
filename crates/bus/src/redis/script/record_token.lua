-- Records the time of issue of a live session's token, if it is the newest.
-- Arguments: name of the session, time of issue (0: unknown). Replies the state of the session.
local session = read()
record_token(session, tonumber(ARGV[2]))
return answer(session)
