-- One more call of somebody who may make so many in a window, which begins with the first.
-- KEYS 1 pace:{who}   ARGV 1 calls at most  2 window ms  3 1 = take one, 0 = give it back    -> ms to wait (0 = it may be made)
if ARGV[3] == '0' then
  if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end
  return 0
end
local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if n <= tonumber(ARGV[1]) then return 0 end
redis.call('DECR', KEYS[1])
return math.max(1, redis.call('PTTL', KEYS[1]))
