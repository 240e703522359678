-- Give a failed call's credits back to the lease they came from.
-- KEYS 1 lease   ARGV 1 lease id  2 cost                                  -> 1 done, 0 that lease is no longer here
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
redis.call('HINCRBY', KEYS[1], 'avail', ARGV[2])
return 1
