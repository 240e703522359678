-- Give credits to the counter of a lease. Billing only; answers how many it has now, and changes nothing when negative.
-- KEYS 1 lz:{org}:<epoch>   ARGV 1 lease id  2 credits  3 until, Unix ms  4 low water  5 rest  6 new lease (1|0)  7 reign
-- -1 this lease has no counter here   -2 another lease's counter is in the place   -3 another reign of this server
if string.match(redis.call('INFO', 'replication'), 'master_replid:(%x%x%x%x%x%x%x%x)') ~= ARGV[7] then return -3 end
if ARGV[6] == '1' then
  if redis.call('EXISTS', KEYS[1]) == 1 then return -2 end
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'avail', ARGV[2], 'until', ARGV[3], 'low', ARGV[4], 'rest', ARGV[5])
  redis.call('PEXPIREAT', KEYS[1], ARGV[3] + 600000)
  return tonumber(ARGV[2])
end
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return -1 end
redis.call('HSET', KEYS[1], 'low', ARGV[4], 'rest', ARGV[5])
return redis.call('HINCRBY', KEYS[1], 'avail', ARGV[2])
