-- Puts a head in the cache unless the one there is as new: key, version, json, how long it is kept (ms).
local key, version, json, keep_ms = unpack(ARGV)
local stored = redis.call('HGET', key, 'version')
if stored and tonumber(stored) >= tonumber(version) then return 0 end
redis.call('HSET', key, 'version', version, 'json', json)
redis.call('PEXPIRE', key, keep_ms)
return 1
