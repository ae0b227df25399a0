-- Tries commands, of which none is to fail but for the type of its key, or because what it names does not exist.
-- Keys: an unused key. Arguments: commands, each with its arguments behind it, separated by spaces, where `<key>` is the key.
-- Replies the position of each that this user or this server refuses, and the error behind it. Any other error is that of the server, such as
-- READONLY, and ends the script.
local refused = {}
for position, line in ipairs(ARGV) do
  local command = {}
  for word in string.gmatch(line, '%S+') do
    command[#command + 1] = word == '<key>' and KEYS[1] or word
  end
  local reply = redis.pcall(unpack(command))
  local failure = type(reply) == 'table' and reply.err
  local code = failure and string.match(failure, '^%u+')
  if code == 'NOPERM' or (code == 'ERR' and not string.find(failure, 'not an integer', 1, true)) then
    refused[#refused + 1] = position
    refused[#refused + 1] = failure
  elseif code and code ~= 'ERR' and code ~= 'WRONGTYPE' and code ~= 'NOGROUP' then
    return reply
  end
end
return refused
