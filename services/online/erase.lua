-- Forgets a person and leaves only when: their state (KEYS 1), their acts (KEYS 2), at ARGV 1. Returns whether they were known.
local known, erased = redis.call('HEXISTS', KEYS[1], 'n'), redis.call('HGET', KEYS[1], 'erased')
local at = ARGV[1]
if erased and tonumber(erased) > tonumber(at) then at = erased end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'erased', at)
return known
