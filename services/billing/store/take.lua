-- Take back what a lease's counter has left. Billing only; answers how much that is, and changes nothing when negative.
-- KEYS 1 lz:{org}:<epoch>   ARGV 1 lease id  2 remove the counter (1|0)  3 reign
-- -1 this lease has no counter here   -3 another reign of this server
if string.match(redis.call('INFO', 'replication'), 'master_replid:(%x%x%x%x%x%x%x%x)') ~= ARGV[3] then return -3 end
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return -1 end
local left = redis.call('HGET', KEYS[1], 'avail')
if ARGV[2] == '1' then redis.call('DEL', KEYS[1]) else redis.call('HSET', KEYS[1], 'avail', 0) end
return tonumber(left)
