-- Applies events once each and moves a source's position: one script, so that no reader and no crash sees half of it.
-- KEYS: the positions, and the parts of batches that are under way.
-- ARGV: prefix, source, expected segment and offset, new segment and offset, which part of the batch (from 0), whether it
--       is the last ("1"), seconds an event id is remembered, acts kept, session gap, and the events as msgpack:
--       {id digest, user, item, kind, ts, act}.
-- Returns how many events were new, or -1, segment and offset where the store has gone back in time.
local prefix, source = ARGV[1], ARGV[2]
local part, is_last = tonumber(ARGV[7]), ARGV[8] == '1'
local remembered, kept, gap = ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11])
local DAY = 86400000000

local function place(segment, offset)
  return {tonumber(segment), tonumber(offset)}
end

local function before(a, b)
  return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2])
end

-- Lua writes a number of sixteen digits with fourteen.
local function whole(number)
  return string.format('%.0f', number)
end

local function grouped(groups, order, key, event)
  if not groups[key] then
    groups[key] = {}
    order[#order + 1] = key
  end
  local group = groups[key]
  group[#group + 1] = event
end

local function in_time(a, b)
  return a.ts < b.ts or (a.ts == b.ts and a.came < b.came)
end

-- The log with late acts in their places, behind those of the same moment: one walk, as far as the last of them.
local function merged(log, late)
  local parts, copied, offset, i = {}, 0, 0, 1
  while late[i] and offset < #log do
    local after, act = cmsgpack.unpack_one(log, offset)
    if late[i].ts < act[3] then
      parts[#parts + 1] = log:sub(copied + 1, offset)
      copied = offset
      while late[i] and late[i].ts < act[3] do
        parts[#parts + 1] = late[i].act
        i = i + 1
      end
    end
    offset = after < 0 and #log or after
  end
  parts[#parts + 1] = log:sub(copied + 1)
  while late[i] do
    parts[#parts + 1] = late[i].act
    i = i + 1
  end
  return table.concat(parts)
end

-- The log without its oldest acts.
local function shortened(log, drop)
  local offset = 0
  for _ = 1, drop do
    offset = cmsgpack.unpack_one(log, offset)
  end
  return log:sub(offset + 1)
end

local function visited(session, ts)
  if not session.last or ts > session.last + gap then
    session.began, session.last, session.events = ts, ts, 1
  elseif ts >= session.began - gap then
    session.began, session.last = math.min(session.began, ts), math.max(session.last, ts)
    session.events = session.events + 1
  end
end

local function kept_acts(log, newest, acts)
  table.sort(acts, in_time)
  if newest and acts[1].ts < newest then
    redis.call('SET', log, merged(redis.call('GET', log), acts))
    return math.max(newest, acts[#acts].ts)
  end
  local parts = {}
  for i, one in ipairs(acts) do parts[i] = one.act end
  redis.call('APPEND', log, table.concat(parts))
  return acts[#acts].ts
end

local function fold_user(user, events)
  local key, log = prefix .. 'u:' .. user, prefix .. 'a:' .. user
  local held = redis.call('HMGET', key, 'n', 'newest', 'began', 'last', 'events', 'erased')
  local n, erased = tonumber(held[1]) or 0, tonumber(held[6])
  local session = {began = tonumber(held[3]), last = tonumber(held[4]), events = tonumber(held[5])}
  local acts, counts = {}, {}
  for came, event in ipairs(events) do
    local kind, ts = event[4], event[5]
    if not (erased and ts <= erased) then
      acts[#acts + 1] = {ts = ts, came = came, act = event[6]}
      counts[kind] = (counts[kind] or 0) + 1
      visited(session, ts)
    end
  end
  if #acts == 0 then return end
  local newest = kept_acts(log, tonumber(held[2]), acts)
  n = n + #acts
  if n > 2 * kept then
    redis.call('SET', log, shortened(redis.call('GET', log), n - kept))
    n = kept
  end
  redis.call('HSET', key, 'n', n, 'newest', whole(newest), 'began', whole(session.began), 'last', whole(session.last),
    'events', whole(session.events))
  for kind, count in pairs(counts) do
    redis.call('HINCRBY', key, '+' .. kind, count)
  end
end

local function fold_item(item, events)
  local key = prefix .. 'i:' .. item
  local before_day = tonumber(redis.call('HGET', key, 'day'))
  local day = before_day
  for _, event in ipairs(events) do
    local own = math.floor(event[5] / DAY)
    if not day or own > day then day = own end
  end
  if before_day and day > before_day then
    for _, field in ipairs(redis.call('HKEYS', key)) do
      if field:sub(1, 1) == '.' then redis.call('HDEL', key, field) end
    end
  end
  if day ~= before_day then redis.call('HSET', key, 'day', whole(day)) end
  local counts = {}
  for _, event in ipairs(events) do
    counts['+' .. event[4]] = (counts['+' .. event[4]] or 0) + 1
    if math.floor(event[5] / DAY) == day then
      counts['.' .. event[4]] = (counts['.' .. event[4]] or 0) + 1
    end
  end
  for field, count in pairs(counts) do
    redis.call('HINCRBY', key, field, count)
  end
end

local segment, offset = (redis.call('HGET', KEYS[1], source) or '0:0'):match('^(%d+):(%d+)$')
local at, target = place(segment, offset), place(ARGV[5], ARGV[6])
if not before(at, target) then return {0} end
local function named(number)
  return whole(target[1]) .. ':' .. whole(target[2]) .. ':' .. whole(number)
end
local is_gap = part > 0 and redis.call('HGET', KEYS[2], source) ~= named(part - 1)
if is_gap or before(at, place(ARGV[3], ARGV[4])) then return {-1, segment, offset} end

local users, user_order, items, item_order, new = {}, {}, {}, {}, 0
for _, event in ipairs(cmsgpack.unpack(ARGV[12])) do
  if redis.call('SET', prefix .. 's:' .. event[1], '', 'NX', 'EX', remembered) then
    grouped(users, user_order, event[2], event)
    grouped(items, item_order, event[3], event)
    new = new + 1
  end
end
for _, user in ipairs(user_order) do fold_user(user, users[user]) end
for _, item in ipairs(item_order) do fold_item(item, items[item]) end
if is_last then
  redis.call('HSET', KEYS[1], source, whole(target[1]) .. ':' .. whole(target[2]))
  redis.call('HDEL', KEYS[2], source)
else
  redis.call('HSET', KEYS[2], source, named(part))
end
return {new}
