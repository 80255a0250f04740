-- What the store does inside Redis, one function for each step that must be one: ARGV is its name, then its arguments.
-- Values are JSON that Python wrote and reads; nothing here looks into them. Moments are microseconds since 1970.
--
-- head:<conversation>         hash: version, state, json, and what it is in: facets, words (a line each)
-- transitions:, utterances:<conversation>   lists
-- turns:<conversation>        list of turn ids;   turn:<conversation>     hash: turn id -> turn
-- receipts:<conversation>     hash: message id -> receipt
-- message:<message id>        sorted set by name: conversations that have answered it
-- rows:, unsent:<conversation>   sorted sets: outbox rows by number
-- row:<row>                   hash: json, conversation, sendable_at, platform (a hashed key)
-- platform:<hashed key>       row
-- parked:<hashed key>         list of statuses that came before their row
-- letter:<letter>             hash: json, conversation;   letters:<conversation>   sorted set by moment
-- record:<collection>\0<key>   hash: json, version, collection, key, owner, expires_at ('' for none)
-- records:<collection>        sorted set by name: keys;   due:<collection>   sorted set by moment: keys
-- records_of:<conversation>   set of names (<collection>\0<key>);   expiring   sorted set by moment: names
-- updated, waiting            sorted sets: conversations with turns by their last change; those that wait for an agent
-- word:<word>                 set: conversations found by the word; also by <facet>=<value>
-- timeouts, sendable, letters sorted sets by moment;   to_escalate   sorted set by name;   parked   by arrival
local P = 'prosa:store:'
local call = redis.call
-- Candidates that are sorted, and of the smallest set of those intersected for them; conversations of a list looked at
-- in one call, and in one command. Each takes a few milliseconds.
local FEW, MANY, SEEN, CHUNK = 2000, 50000, 4000, 250

local position = 1
local function argument()
  position = position + 1
  return ARGV[position]
end

-- Arguments come as groups, each behind the number of its members.
local function each(act)
  for _ = 1, tonumber(argument()) do act() end
end

local function score(key, moment, member)
  if moment == '' then call('ZREM', key, member) else call('ZADD', key, moment, member) end
end

-- Facets take the place of those before; words are added, until everything is cleared.
local function index_words(id, facets, words)
  local head, fresh = P .. 'head:' .. id, {}
  local before = call('HMGET', head, 'facets', 'words')
  for facet in string.gmatch(before[1] or '', '[^\n]+') do call('SREM', P .. 'word:' .. facet, id) end
  for facet in string.gmatch(facets, '[^\n]+') do call('SADD', P .. 'word:' .. facet, id) end
  for word in string.gmatch(words, '[^\n]+') do
    if call('SADD', P .. 'word:' .. word, id) == 1 then fresh[#fresh + 1] = word end
  end
  if #fresh > 0 then call('HSET', head, 'words', (before[2] or '') .. '\n' .. table.concat(fresh, '\n')) end
  call('HSET', head, 'facets', facets)
end

-- Arguments: version, state, updated_at ('' without turns), waiting_at, times_out_at ('' if never), facets, words, json.
local function write_head(id)
  local head = P .. 'head:' .. id
  local version, state, updated_at, waiting_at, times_out_at = argument(), argument(), argument(), argument(), argument()
  index_words(id, argument(), argument())
  local before = call('HGET', head, 'state')
  -- Earlier releases had a list for each state.
  if before then call('ZREM', P .. 'updated:' .. before, id) end
  call('HSET', head, 'version', version, 'state', state, 'json', argument())
  score(P .. 'updated', updated_at, id)
  score(P .. 'waiting', waiting_at, id)
  score(P .. 'timeouts', times_out_at, id)
end

local function is_version(id, version)
  return (call('HGET', P .. 'head:' .. id, 'version') or '0') == version
end

-- The sendable index knows a conversation by its first unsent row: later ones wait for it.
local function index_sendable(id)
  local first = call('ZRANGE', P .. 'unsent:' .. id, 0, 0)[1]
  score(P .. 'sendable', first and call('HGET', P .. 'row:' .. first, 'sendable_at') or '', id)
end

-- Arguments: row, number, is it unsent, sendable_at, does it ask for an escalation, hashed platform key or '', json.
local function write_row(id)
  local row, number, unsent, sendable_at = argument(), argument(), argument(), argument()
  local asks, platform, json = argument(), argument(), argument()
  local before = call('HGET', P .. 'row:' .. row, 'platform')
  if before and before ~= '' and before ~= platform then call('DEL', P .. 'platform:' .. before) end
  call('HSET', P .. 'row:' .. row, 'json', json, 'conversation', id, 'sendable_at', sendable_at, 'platform', platform)
  call('ZADD', P .. 'rows:' .. id, number, row)
  score(P .. 'unsent:' .. id, unsent == '1' and number or '', row)
  score(P .. 'to_escalate', asks == '1' and '0' or '', row)
  if platform ~= '' then call('SET', P .. 'platform:' .. platform, row) end
  index_sendable(id)
end

local function unpark(platform)
  call('DEL', P .. 'parked:' .. platform)
  call('ZREM', P .. 'parked', platform)
end

-- Arguments: letter, moment, json, digests of addresses with spaces between them. The first letter of an id stays.
local function write_letter(id)
  local letter, at, json, addresses = argument(), argument(), argument(), argument()
  local key = P .. 'letter:' .. letter
  if call('HSETNX', key, 'json', json) == 0 then return end
  call('HSET', key, 'conversation', id, 'addresses', addresses)
  for address in string.gmatch(addresses, '%S+') do call('SADD', P .. 'letters_with:' .. address, letter) end
  call('ZADD', P .. 'letters', at, letter)
  if id ~= '' then call('ZADD', P .. 'letters:' .. id, at, letter) end
end

local function drop_letter(letter)
  local key = P .. 'letter:' .. letter
  local id, addresses = unpack(call('HMGET', key, 'conversation', 'addresses'))
  if not id then return 0 end
  for address in string.gmatch(addresses or '', '%S+') do call('SREM', P .. 'letters_with:' .. address, letter) end
  call('DEL', key)
  call('ZREM', P .. 'letters', letter)
  call('ZREM', P .. 'letters:' .. id, letter)
  return 1
end

local function drop_record(name)
  local record = P .. 'record:' .. name
  local fields = call('HMGET', record, 'collection', 'key', 'owner')
  if not fields[1] then return 0 end
  call('DEL', record)
  call('ZREM', P .. 'records:' .. fields[1], fields[2])
  call('ZREM', P .. 'due:' .. fields[1], fields[2])
  call('SREM', P .. 'records_of:' .. fields[3], name)
  call('ZREM', P .. 'expiring', name)
  return 1
end

-- Arguments as below; returns 0 where another version is stored.
local function put_record()
  local collection, key, expected = argument(), argument(), argument()
  local version, owner, due_at, expires_at, json = argument(), argument(), argument(), argument(), argument()
  local name = collection .. '\0' .. key
  local record = P .. 'record:' .. name
  local before = call('HMGET', record, 'version', 'owner')
  if (before[1] or '0') ~= expected then return 0 end
  if before[2] then call('SREM', P .. 'records_of:' .. before[2], name) end
  call('HSET', record, 'json', json, 'version', version, 'collection', collection, 'key', key,
    'owner', owner, 'expires_at', expires_at)
  call('ZADD', P .. 'records:' .. collection, 0, key)
  score(P .. 'due:' .. collection, due_at, key)
  score(P .. 'expiring', expires_at, name)
  if owner ~= '' then call('SADD', P .. 'records_of:' .. owner, name) end
  return 1
end

-- Up to `limit` records of a collection that have not expired; `page` gives their keys from an offset on.
local function kept_records(collection, at, limit, page)
  local found, offset = {}, 0
  repeat
    local keys = page(offset)
    for _, key in ipairs(keys) do
      local fields = call('HMGET', P .. 'record:' .. collection .. '\0' .. key, 'json', 'expires_at')
      local is_kept = fields[2] == '' or tonumber(fields[2]) > tonumber(at)
      if is_kept and #found < limit then found[#found + 1] = fields[1] end
    end
    offset = offset + #keys
  until #keys == 0 or #found == limit
  return found
end

-- Groups: transitions, utterances, turns (id, json), receipts (message id, json), rows.
local function write_records(id)
  each(function() call('RPUSH', P .. 'transitions:' .. id, argument()) end)
  each(function() call('RPUSH', P .. 'utterances:' .. id, argument()) end)
  each(function()
    local turn = argument()
    call('RPUSH', P .. 'turns:' .. id, turn)
    call('HSET', P .. 'turn:' .. id, turn, argument())
  end)
  each(function()
    local message = argument()
    call('HSETNX', P .. 'receipts:' .. id, message, argument())
    call('ZADD', P .. 'message:' .. message, 0, id)
  end)
  each(function() write_row(id) end)
end

-- Everything of a conversation but its head.
local function clear_records(id)
  for _, message in ipairs(call('HKEYS', P .. 'receipts:' .. id)) do call('ZREM', P .. 'message:' .. message, id) end
  for _, row in ipairs(call('ZRANGE', P .. 'rows:' .. id, 0, -1)) do
    local platform = call('HGET', P .. 'row:' .. row, 'platform')
    if platform and platform ~= '' then
      call('DEL', P .. 'platform:' .. platform)
      unpark(platform)
    end
    call('DEL', P .. 'row:' .. row)
    call('ZREM', P .. 'to_escalate', row)
  end
  for _, letter in ipairs(call('ZRANGE', P .. 'letters:' .. id, 0, -1)) do drop_letter(letter) end
  for _, name in ipairs(call('SMEMBERS', P .. 'records_of:' .. id)) do drop_record(name) end
  for word in string.gmatch(call('HGET', P .. 'head:' .. id, 'words') or '', '[^\n]+') do
    call('SREM', P .. 'word:' .. word, id)
  end
  call('HDEL', P .. 'head:' .. id, 'words')
  for _, kind in ipairs({'transitions:', 'utterances:', 'turns:', 'turn:', 'receipts:', 'rows:', 'unsent:'}) do
    call('UNLINK', P .. kind .. id)
  end
  call('ZREM', P .. 'sendable', id)
end

local function jsons(kind, names)
  local found = {}
  for _, name in ipairs(names) do
    local json = call('HGET', P .. kind .. name, 'json')
    if json then found[#found + 1] = json end
  end
  return found
end

local steps = {}

function steps.commit()
  local id, expected = argument(), argument()
  if not is_version(id, expected) then return 0 end
  local is_unchanged = true
  each(function()
    local row, json = argument(), argument()
    if call('HGET', P .. 'row:' .. row, 'json') ~= json then is_unchanged = false end
  end)
  if not is_unchanged then return 0 end
  write_head(id)
  write_records(id)
  each(put_record)
  return 1
end

function steps.erase()
  local id, expected = argument(), argument()
  if not is_version(id, expected) then return 0 end
  clear_records(id)
  write_head(id)
  return 1
end

function steps.add()
  local id, expected = argument(), argument()
  if not is_version(id, expected) then return 0 end
  write_records(id)
  return 1
end

function steps.set_head()
  local id, expected = argument(), argument()
  if not is_version(id, expected) then return 0 end
  write_head(id)
  return 1
end

-- Up to `limit` heads of a list between two scores, which hold one word of each group, behind the place of the last one
-- looked at ('' at the end). With few candidates those are sorted; else the list is read, not all of it at once, as
-- others wait. Of those at the first score, the ones up to the id `after` are passed over.
function steps.find()
  local index, command, first, last, after, limit =
    P .. argument(), argument(), argument(), argument(), argument(), tonumber(argument())
  local is_newest_first, groups, alone = command == 'ZREVRANGEBYSCORE', {}, {}
  local few, fewest, least = {}, math.huge, math.huge
  each(function()
    local keys, size = {}, 0
    each(function()
      keys[#keys + 1] = P .. 'word:' .. argument()
      size = size + call('SCARD', keys[#keys])
    end)
    groups[#groups + 1] = keys
    if size < fewest then few, fewest = keys, size end
    if #keys == 1 then alone[#alone + 1], least = keys[1], math.min(least, size) end
  end)
  local low, high, edge = tonumber(first), tonumber(last), tonumber(first)
  if is_newest_first then low, high = high, low end
  local function fits(id, at)
    if at < low or at > high then return false end
    if after ~= '' and at == edge and (id == after or is_newest_first == (id > after)) then return false end
    for _, keys in ipairs(groups) do
      local is_held = false
      for _, key in ipairs(keys) do is_held = is_held or call('SISMEMBER', key, id) == 1 end
      if not is_held then return false end
    end
    return true
  end
  local found, seen, place, ids = {}, 0, {'', ''}, nil
  if fewest <= FEW then
    ids = call('SUNION', unpack(few))
  elseif least <= MANY then
    ids = call('SINTER', unpack(alone))
  end
  if ids and #ids <= FEW then
    for _, id in ipairs(ids) do
      local at = call('ZSCORE', index, id)
      if at and fits(id, tonumber(at)) then found[#found + 1] = {id, at} end
    end
    table.sort(found, function(a, b)
      if is_newest_first then a, b = b, a end
      return a[2] == b[2] and a[1] < b[1] or tonumber(a[2]) < tonumber(b[2])
    end)
    if #found > limit then place = found[limit] end
  else
    repeat
      local page = call(command, index, first, last, 'WITHSCORES', 'LIMIT', seen, CHUNK)
      for n = 1, #page, 2 do
        seen, place = seen + 1, {page[n], page[n + 1]}
        if fits(page[n], tonumber(page[n + 1])) then found[#found + 1] = place end
        if #found == limit then break end
      end
      if #page < 2 * CHUNK and #found < limit then place = {'', ''} end
    until place[1] == '' or #found == limit or seen >= SEEN
  end
  local answer = {place[1], place[2]}
  for n = 1, math.min(limit, #found) do answer[n + 2] = call('HGET', P .. 'head:' .. found[n][1], 'json') end
  return answer
end

function steps.turns()
  local id, first = argument(), argument()
  local found = {}
  for _, turn in ipairs(call('LRANGE', P .. 'turns:' .. id, first, -1)) do
    found[#found + 1] = call('HGET', P .. 'turn:' .. id, turn)
  end
  return found
end

function steps.rows()
  local kind, id = argument(), argument()
  return jsons('row:', call('ZRANGE', P .. kind .. ':' .. id, 0, -1))
end

-- Every conversation with an unsent row is in the index of those that are to be sent.
function steps.unsent_count()
  local count = 0
  for _, id in ipairs(call('ZRANGE', P .. 'sendable', 0, -1)) do count = count + call('ZCARD', P .. 'unsent:' .. id) end
  return count
end

function steps.to_escalate()
  return jsons('row:', call('ZRANGE', P .. 'to_escalate', 0, tonumber(argument()) - 1))
end

-- Writes the row if it is still as it was read, and so is what is parked for it; that is then taken.
function steps.change_row()
  local before, parked, id = argument(), argument(), argument()
  local row, platform = ARGV[position + 1], ARGV[position + 6]
  if call('HGET', P .. 'row:' .. row, 'json') ~= before then return 0 end
  if parked ~= '' then
    if call('LLEN', P .. 'parked:' .. platform) ~= tonumber(parked) then return 0 end
    unpark(platform)
  end
  write_row(id)
  return 1
end

-- The row of a reference, if there is one; and the row of a platform's id.
function steps.find_row()
  local reference, platform = argument(), argument()
  local known = call('GET', P .. 'platform:' .. platform)
  return {
    call('HGET', P .. 'row:' .. reference, 'json'),
    known and call('HGET', P .. 'row:' .. known, 'json'),
  }
end

-- Keeps a status for a row that is not known by the platform's id yet; the oldest of too many are dropped.
function steps.park()
  local platform, limit, of_one, json = argument(), tonumber(argument()), argument(), argument()
  if call('EXISTS', P .. 'platform:' .. platform) == 1 then return 0 end
  local time = call('TIME')
  call('RPUSH', P .. 'parked:' .. platform, json)
  call('LTRIM', P .. 'parked:' .. platform, '-' .. of_one, -1)
  call('ZADD', P .. 'parked', string.format('%d%06d', time[1], time[2]), platform)
  while call('ZCARD', P .. 'parked') > limit do unpark(call('ZRANGE', P .. 'parked', 0, 0)[1]) end
  return 1
end

function steps.add_letter()
  write_letter(argument())
end

function steps.drop_letter()
  return drop_letter(argument())
end

function steps.forget_letters()
  local dropped = 0
  each(function()
    for _, letter in ipairs(call('SMEMBERS', P .. 'letters_with:' .. argument())) do
      dropped = dropped + drop_letter(letter)
    end
  end)
  return dropped
end

function steps.letters()
  local index, limit, till = argument(), argument(), argument()
  return jsons('letter:', call('ZREVRANGEBYSCORE', P .. index, till, '-inf', 'LIMIT', 0, limit))
end

function steps.prune_letters()
  local old = call('ZRANGEBYSCORE', P .. 'letters', '-inf', argument())
  for _, letter in ipairs(old) do drop_letter(letter) end
  return #old
end

function steps.publish()
  local version, at, json = argument(), argument(), argument()
  if call('ZREVRANGE', P .. 'published', 0, 0)[1] == version then return 0 end
  call('HSET', P .. 'institutions', version, json)
  call('ZADD', P .. 'published', at, version)
  return 1
end

function steps.published()
  local newest = call('ZREVRANGE', P .. 'published', 0, 0)[1]
  return newest and call('HGET', P .. 'institutions', newest)
end

steps.put_record = put_record

function steps.records()
  local collection, lowest, at, limit = argument(), argument(), argument(), tonumber(argument())
  return kept_records(collection, at, limit, function(offset)
    return call('ZRANGEBYLEX', P .. 'records:' .. collection, lowest, '+', 'LIMIT', offset, limit)
  end)
end

function steps.due_records()
  local collection, at, limit = argument(), argument(), tonumber(argument())
  return kept_records(collection, at, limit, function(offset)
    return call('ZRANGEBYSCORE', P .. 'due:' .. collection, '-inf', at, 'LIMIT', offset, limit)
  end)
end

function steps.drop_record()
  return drop_record(argument() .. '\0' .. argument())
end

function steps.prune_records()
  local old = call('ZRANGEBYSCORE', P .. 'expiring', '-inf', argument())
  for _, name in ipairs(old) do drop_record(name) end
  return #old
end

return steps[ARGV[1]]()
