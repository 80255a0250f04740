-- What the inbox does inside Redis, one function for each method: ARGV is the method's name, how long a key is kept
-- that nothing waits for (ms), and the method's arguments. Moments are microseconds since 1970, given by the caller; all numbers are integers below 2^53.
--
-- head:<conversation>      hash: last (sequence), token, until (end of the lease), due
-- entries:<conversation>   sorted set: "<sequence>:<message>" by sequence
-- attempts:<conversation>  hash: sequence -> how often it was taken
-- due                      sorted set: conversations with entries, by the moment they can be taken
-- depth                    how many entries there are in all
-- seen:<dedup key>         "<sequence>:<conversation>", until it expires
-- joined:<conversation>    the conversation that it was joined to: the thread that its person has
local P = 'prosa:inbox:'
local call = redis.call
local DUE, DEPTH = P .. 'due', P .. 'depth'

local function whole(number)
  return string.format('%.0f', number)
end

local function now()
  local time = call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- Puts the index and the expiry of a conversation right, after anything about it has changed.
--
-- While nothing waits, the head is kept for nine days and not for ever: it numbers messages and leases, and both are
-- taken from the clock too, which by then has passed every number given out before it, however a failover may have set
-- it back. A head whose numbers lead the clock (`advance`) is kept.
local function settle(id, keep_ms)
  local head = P .. 'head:' .. id
  if call('EXISTS', P .. 'entries:' .. id) == 1 then
    local fields = call('HMGET', head, 'due', 'until')
    local due, till = tonumber(fields[1] or 0), tonumber(fields[2] or 0)
    call('ZADD', DUE, whole(math.max(due, till)), id)
    call('PERSIST', head)
  else
    call('ZREM', DUE, id)
    local last = tonumber(call('HGET', head, 'last') or 0)
    if last <= now() then call('PEXPIRE', head, keep_ms) else call('PERSIST', head) end
  end
end

local function arm(id, at)
  local head = P .. 'head:' .. id
  local due = call('HGET', head, 'due')
  if not due or tonumber(at) < tonumber(due) then call('HSET', head, 'due', at) end
end

-- A number after all that were given out: the clock's, so that a Redis that failed over or lost everything does not
-- give one out again.
local function following(id, field)
  local head = P .. 'head:' .. id
  local number = whole(math.max(tonumber(call('HGET', head, field) or 0) + 1, now()))
  call('HSET', head, field, number)
  return number
end

local function is_mine(id, token)
  return call('HGET', P .. 'head:' .. id, 'token') == token
end

-- Nearly every message that is appended is new, and the webhook's promptness hangs on this: as `following`, `arm` and
-- `settle` one after the other, which ask for the same fields again.
local function append_new(id, dedup_key, at, message, moment, keep_ms)
  local head = P .. 'head:' .. id
  local fields = call('HMGET', head, 'last', 'due', 'until')
  local sequence = whole(math.max(tonumber(fields[1] or 0) + 1, moment))
  local due = math.min(tonumber(fields[2] or at), tonumber(at))
  call('HSET', head, 'last', sequence, 'due', whole(due))
  call('PERSIST', head)
  call('ZADD', P .. 'entries:' .. id, sequence, sequence .. ':' .. message)
  call('SET', P .. 'seen:' .. dedup_key, sequence .. ':' .. id, 'PX', keep_ms)
  call('ZADD', DUE, whole(math.max(due, tonumber(fields[3] or 0))), id)
end

local function append_again(seen, at, keep_ms)
  local sequence, holder = seen:match('^(%d+):(.*)$')
  if call('ZCOUNT', P .. 'entries:' .. holder, sequence, sequence) == 0 then return 'duplicate_done', holder end
  arm(holder, at)
  settle(holder, keep_ms)
  return 'duplicate_pending', holder
end

-- The message with the id of another thread: that is the first place it stands in.
local function renamed(message, id, thread)
  local name = '"conversation_id":"'
  local from, till = message:find(name .. id .. '"', 1, true)
  return from and message:sub(1, from - 1) .. name .. thread .. '"' .. message:sub(till + 1) or message
end

-- The thread that a message belongs in, and the message with its id.
local function in_thread(id, message)
  local thread = id
  for _ = 1, 8 do
    local joined = call('GET', P .. 'joined:' .. thread)
    if not joined then break end
    thread = joined
  end
  if thread == id then return id, message end
  return thread, renamed(message, id, thread)
end

-- Takes the entries away whose sequences are the arguments from `first` on.
local function drop(id, first)
  for n = first, #ARGV do
    call('DECRBY', DEPTH, call('ZREMRANGEBYSCORE', P .. 'entries:' .. id, ARGV[n], ARGV[n]))
    call('HDEL', P .. 'attempts:' .. id, ARGV[n])
  end
end

local methods = {}

-- Then four for each message: conversation, deduplication key, moment, message.
function methods.append(keep_ms)
  local arrivals, accepted, moment = {}, 0, now()
  for n = 3, #ARGV, 4 do
    local seen = call('GET', P .. 'seen:' .. ARGV[n + 1])
    local arrival, thread, message = 'accepted', nil, nil
    if seen then
      arrival, thread = append_again(seen, ARGV[n + 2], keep_ms)
    else
      thread, message = in_thread(ARGV[n], ARGV[n + 3])
      append_new(thread, ARGV[n + 1], ARGV[n + 2], message, moment, keep_ms)
      accepted = accepted + 1
    end
    arrivals[#arrivals + 1], arrivals[#arrivals + 2] = arrival, thread
  end
  if accepted > 0 then call('INCRBY', DEPTH, accepted) end
  return arrivals
end

-- What is answered already goes; what waits moves to the end of the other, in its order, and is due there at once.
function methods.join(keep_ms, id, into, after)
  local entries = P .. 'entries:' .. id
  if into == '' then return call('DEL', P .. 'joined:' .. id) end
  call('SET', P .. 'joined:' .. id, into)
  call('DECRBY', DEPTH, call('ZREMRANGEBYSCORE', entries, '-inf', after))
  for _, entry in ipairs(call('ZRANGE', entries, 0, -1)) do
    local sequence = following(into, 'last')
    call('ZADD', P .. 'entries:' .. into, sequence, sequence .. ':' .. renamed(entry:match('^%d+:(.*)$'), id, into))
    arm(into, call('HGET', P .. 'head:' .. id, 'due') or 0)
  end
  call('DEL', entries, P .. 'attempts:' .. id)
  settle(id, keep_ms)
  settle(into, keep_ms)
end

-- nil while the lease of somebody else runs; else the token and the attempts of the oldest entry.
function methods.claim(keep_ms, id, at, till)
  local head = P .. 'head:' .. id
  if tonumber(call('HGET', head, 'until') or 0) > tonumber(at) then return false end
  local token = following(id, 'token')
  call('HSET', head, 'until', till)
  settle(id, keep_ms)
  local oldest = call('ZRANGE', P .. 'entries:' .. id, 0, 0, 'WITHSCORES')[2]
  local attempts = oldest and call('HGET', P .. 'attempts:' .. id, oldest)
  return {tonumber(token), tonumber(attempts or 0)}
end

-- The most frequent one. It only moves an end that lies in the future further away, so of all that `settle` puts right
-- there is but the index.
function methods.renew(_, id, token, till)
  if not is_mine(id, token) then return 0 end
  call('HSET', P .. 'head:' .. id, 'until', till)
  call('ZADD', DUE, 'XX', till, id)
  return 1
end

-- nil when the lease is lost; else attempts, sequence and entry, in turn. The score is the sequence, whatever an entry
-- contains.
function methods.take(_, id, token, isolate_after)
  if not is_mine(id, token) then return false end
  local entries, counts = P .. 'entries:' .. id, P .. 'attempts:' .. id
  local oldest = call('ZRANGE', entries, 0, 0, 'WITHSCORES')[2]
  if not oldest then return {} end
  local tried = tonumber(call('HGET', counts, oldest) or 0)
  local taken = {}
  local found = call('ZRANGE', entries, 0, tried >= tonumber(isolate_after) and 0 or -1, 'WITHSCORES')
  for n = 1, #found, 2 do
    taken[#taken + 1] = call('HINCRBY', counts, found[n + 1], 1)
    taken[#taken + 1] = found[n + 1]
    taken[#taken + 1] = found[n]
  end
  return taken
end

-- Then the sequences.
function methods.refund_attempts(_, id)
  local counts = P .. 'attempts:' .. id
  for n = 4, #ARGV do
    if tonumber(call('HGET', counts, ARGV[n]) or 0) > 0 then call('HINCRBY', counts, ARGV[n], -1) end
  end
end

-- Then the sequences.
function methods.remove(keep_ms, id)
  drop(id, 4)
  settle(id, keep_ms)
end

-- Then the sequences that were answered.
function methods.release(keep_ms, id, token)
  drop(id, 5)
  local is_over = is_mine(id, token) and call('EXISTS', P .. 'entries:' .. id) == 0
  if is_over then call('HDEL', P .. 'head:' .. id, 'until', 'due') end
  settle(id, keep_ms)
  return is_over and 1 or 0
end

function methods.abandon(keep_ms, id, token, due)
  if not is_mine(id, token) then return end
  call('HDEL', P .. 'head:' .. id, 'until')
  call('HSET', P .. 'head:' .. id, 'due', due)
  settle(id, keep_ms)
end

function methods.pending(_, id)
  local waiting = {}
  local found = call('ZRANGE', P .. 'entries:' .. id, 0, -1, 'WITHSCORES')
  for n = 1, #found, 2 do
    waiting[#waiting + 1] = tonumber(call('HGET', P .. 'attempts:' .. id, found[n + 1]) or 0)
    waiting[#waiting + 1] = found[n + 1]
    waiting[#waiting + 1] = found[n]
  end
  return waiting
end

-- Then the conversations: when each of their messages was received, where that can be read.
function methods.received()
  local moments = {}
  for n = 3, #ARGV do
    for _, entry in ipairs(call('ZRANGE', P .. 'entries:' .. ARGV[n], 0, -1)) do
      local is_read, message = pcall(cjson.decode, entry:match('^%d+:(.*)$'))
      local at = is_read and type(message) == 'table' and message.received_at
      if type(at) == 'string' then moments[#moments + 1] = at end
    end
  end
  return moments
end

function methods.forget(keep_ms, id)
  call('DECRBY', DEPTH, call('ZCARD', P .. 'entries:' .. id))
  call('DEL', P .. 'entries:' .. id, P .. 'attempts:' .. id)
  settle(id, keep_ms)
  return tonumber(call('HGET', P .. 'head:' .. id, 'last') or 0)
end

-- Then the deduplication keys of what was answered elsewhere, which has no sequence here: numbers begin at 1.
function methods.advance(keep_ms, id, past)
  local head = P .. 'head:' .. id
  if tonumber(past) > tonumber(call('HGET', head, 'last') or 0) then call('HSET', head, 'last', past) end
  for n = 5, #ARGV do call('SET', P .. 'seen:' .. ARGV[n], '0:' .. id, 'PX', keep_ms, 'NX') end
  settle(id, keep_ms)
end

return methods[ARGV[1]](ARGV[2], ARGV[3], ARGV[4], ARGV[5])
