-- One more failed authentication from an address.
-- KEYS 1 fail:{ip or /64}   ARGV 1 limit  2 window ms  3 first block ms  4 longest block ms    -> ms still blocked (0 = free)
local t = redis.call('TIME')
local ms = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local h = redis.call('HMGET', KEYS[1], 'n', 't0', 'till', 'step')
local n, t0, till, step = tonumber(h[1] or '0'), tonumber(h[2] or '0'), tonumber(h[3] or '0'), tonumber(h[4] or '0')
if till > ms then return till - ms end
if ms - t0 >= tonumber(ARGV[2]) then n, t0 = 0, ms end
n = n + 1
if n >= tonumber(ARGV[1]) then n, t0, till, step = 0, ms, ms + math.min(tonumber(ARGV[3]) * 2 ^ step, tonumber(ARGV[4])), step + 1 end
redis.call('HSET', KEYS[1], 'n', n, 't0', t0, 'till', till, 'step', step)
redis.call('PEXPIRE', KEYS[1], 86400000)
return math.max(0, till - ms)
