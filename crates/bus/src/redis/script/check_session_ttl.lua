-- Replies the state of a session.
-- A read of an expired key makes Redis delete it and send its notification: so both keys are read.
redis.call('EXISTS', KEYS[2])
return answer(read())
