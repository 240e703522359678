-- The holder of the refill lock tells what billing said, and lets go of the lock.
-- KEYS 1 e  2 r   ARGV 1 refill token  2 '' (granted), 'E<balance>' or 'B<need>'  3 ms    -> 0: the lock is no longer ours, say nothing
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
