-- Describes a lost job for operators. Prepended to the scripts that need it.

-- User and kind of a job: the event of a command, or the name of another work in the JSON.
local function user_and_kind(text)
  local job = cjson.decode(text)
  local kind = job.work
  if type(kind) == 'table' then
    local name, content = next(kind)
    kind = name == 'command' and content.event or name
  end
  return tostring(job.user or ''), tostring(kind or '')
end

-- Fields of the dead letter of an entry. The job itself is among them only if its kind is one of these; others may hold a code.
local function dead_letter(entry, deliveries, kept_kinds)
  local id, text = entry[2][2], entry[2][6]
  local is_read, user, kind = pcall(user_and_kind, text)
  if not is_read then
    user, kind = '', ''
  end
  local kept = ''
  for _, kept_kind in ipairs(kept_kinds) do
    if kind == kept_kind then
      kept = text
    end
  end
  return { 'id', id, 'entry', entry[1], 'deliveries', deliveries, 'user', user, 'kind', kind, 'job', kept }
end
