-- Drops sessions above the bound of their user: they are unknown from then on. One that has left the index meanwhile stays as it
-- is, as its key may be a tombstone.
-- Keys: index of the sessions, then of each session its key and that of its warning. Arguments: their names in the index.
for number, name in ipairs(ARGV) do
  if redis.call('ZREM', KEYS[1], name) == 1 then
    redis.call('DEL', KEYS[2 * number], KEYS[2 * number + 1])
  end
end
return ''
