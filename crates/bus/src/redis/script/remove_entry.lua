-- Removes an entry of a lane with its payload, whichever worker has claimed it. Prepended to the scripts that need it.
local function remove(lane, size, group, id)
  local entry = redis.call('XRANGE', lane, id, id)[1]
  redis.call('XACK', lane, group, id)
  if entry and redis.call('XDEL', lane, id) == 1 then
    -- Fields: id, deadline, job.
    redis.call('DECRBY', size, #entry[2][6])
  end
  return entry
end
