-- Credits came or went: forget a negative answer, and whoever was reading before.
-- KEYS 1 lz:{org}:e  2 lz:{org}:r
return redis.call('DEL', KEYS[1], KEYS[2])
