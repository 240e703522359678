-- Raise an organization's auth version.
-- KEYS 1 adm:{org}   ARGV 1 av   -> the av that now stands; it only ever rises
local c, n = tonumber(redis.call('HGET', KEYS[1], 'av') or '-1'), tonumber(ARGV[1])
if n <= c then return c end
redis.call('HSET', KEYS[1], 'av', ARGV[1])
redis.call('EXPIRE', KEYS[1], 172800)
return n
