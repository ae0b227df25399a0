-- Removes entries of a lane, payload and all, in whoever's hands they are. Prepended to the scripts that need it.
local function remove(lane, bytes, group, id)
  local entry = redis.call('XRANGE', lane, id, id)[1]
  redis.call('XACK', lane, group, id)
  if entry and redis.call('XDEL', lane, id) == 1 then
    -- Fields: id, deadline, job.
    redis.call('DECRBY', bytes, #entry[2][6])
  end
  return entry
end
