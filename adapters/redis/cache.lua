-- Answers that can be had again. ARGV: the prefix of all keys, what to do, the scope, and what that needs.
--   PREFIX v:SCOPE:KEY    a value, which expires by itself
--   PREFIX order:SCOPE    its keys by number: microseconds of this clock, or one more than the last
--   PREFIX until:SCOPE    its keys by the millisecond in which they expire
--   PREFIX scopes         every scope that may hold something
local prefix, what, scope = ARGV[1], ARGV[2], ARGV[3]
local order, ends, scopes = prefix .. 'order:' .. scope, prefix .. 'until:' .. scope, prefix .. 'scopes'
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now_ms = math.floor(now_us / 1000)

local function value_of(key) return prefix .. 'v:' .. scope .. ':' .. key end

local function forget(keys)
  for _, key in ipairs(keys) do
    redis.call('DEL', value_of(key))
    redis.call('ZREM', order, key)
    redis.call('ZREM', ends, key)
  end
end

local function forget_expired()
  -- A thousand at a time: whoever comes next takes the next thousand.
  forget(redis.call('ZRANGEBYSCORE', ends, '-inf', now_ms, 'LIMIT', 0, 1000))
end

local function text(number) return string.format('%.0f', number) end

if what == 'put' then
  local key, value, keep_ms, most = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
  forget_expired()
  local last = redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')
  local number = math.max(now_us, last[2] and tonumber(last[2]) + 1 or 0)
  redis.call('SET', value_of(key), value, 'PX', keep_ms)
  redis.call('ZADD', order, text(number), key)
  redis.call('ZADD', ends, text(now_ms + keep_ms), key)
  redis.call('SADD', scopes, scope)
  local size = redis.call('ZCARD', order)
  if size > most then
    forget(redis.call('ZRANGE', order, 0, size - most - 1))
    size = most
  end
  -- A scope outlives its last value by nothing.
  local longest = tonumber(redis.call('ZREVRANGE', ends, 0, 0, 'WITHSCORES')[2])
  redis.call('PEXPIREAT', order, text(longest))
  redis.call('PEXPIREAT', ends, text(longest))
  return size
elseif what == 'entries' then
  local after, most = ARGV[4], ARGV[5]
  -- What has expired would fill pages that bring nothing.
  forget_expired()
  local listed = redis.call('ZRANGEBYSCORE', order, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  local found = {}
  for n = 1, #listed, 2 do
    local value = redis.call('GET', value_of(listed[n]))
    if value then
      found[#found + 1] = listed[n + 1]
      found[#found + 1] = listed[n]
      found[#found + 1] = value
    end
  end
  return found
elseif what == 'drop' then
  local keys_from, found = ARGV[4], {}
  while redis.call('ZRANGEBYSCORE', ends, '-inf', now_ms, 'LIMIT', 0, 1)[1] do forget_expired() end
  for _, key in ipairs(redis.call('ZRANGE', order, 0, -1)) do
    if string.sub(key, 1, #keys_from) == keys_from then found[#found + 1] = key end
  end
  forget(found)
  if redis.call('ZCARD', order) == 0 then redis.call('SREM', scopes, scope) end
  return #found
elseif what == 'size' then
  local size = redis.call('ZCOUNT', ends, '(' .. now_ms, '+inf')
  if size == 0 then redis.call('SREM', scopes, scope) end
  return size
end
return redis.error_reply('ERR no such work')
