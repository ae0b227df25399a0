-- Removes finished entries.
-- Keys: lane, its size. Arguments: group, entry ids.
for number = 2, #ARGV do
  remove(KEYS[1], KEYS[2], ARGV[1], ARGV[number])
end
return {}
