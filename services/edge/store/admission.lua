-- One call: auth version, minute, day, key window, lease. Nothing is written unless all pass.
-- Returns {code, av, now ms, minute, previous, day, key, avail, rest, lease, won}; {1} cold, {2, av} stale, {9} another reign.
-- KEYS 1 adm:{org}  2 adm:{org}:k:<key id>[:<class>]  3 lz:{org}:<epoch>  4 lz:{org}:e  5 lz:{org}:r
-- ARGV 1 av  2 minute limit  3 day limit  4 key limit (0 none)  5 cost  6 count windows (1|0)  7 refill token  8 refill lock ms  9 reign
local s = redis.call('HMGET', KEYS[1], 'av', 'mi', 'mc', 'mp', 'di', 'dc')
local av = tonumber(s[1])
if not av then return {1} end                                                                   -- COLD
if av ~= tonumber(ARGV[1]) then return {2, av} end                                              -- STALE
local t = redis.call('TIME')
local sec = tonumber(t[1])
local ms = sec * 1000 + math.floor(tonumber(t[2]) / 1000)
local mi, di, mc, mp, dc, kc = math.floor(sec / 60), math.floor(sec / 86400), 0, 0, 0, 0
local smi, sdi = tonumber(s[2]), tonumber(s[5])
if smi == mi then mc, mp = tonumber(s[3]), tonumber(s[4]) elseif smi == mi - 1 then mp = tonumber(s[3]) end
if sdi == di then dc = tonumber(s[6]) end
local kl, cost, count = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
if kl > 0 then
  local k = redis.call('HMGET', KEYS[2], 'i', 'c')
  if tonumber(k[1]) == mi then kc = tonumber(k[2]) end
end
local code, avail, rest, id, won = 0, 0, 0, '', 0
if count then
  if math.floor(mp * (60000 - ms % 60000) / 60000) + mc + 1 > tonumber(ARGV[2]) then code = 3   -- MINUTE
  elseif dc + 1 > tonumber(ARGV[3]) then code = 4                                               -- DAY
  elseif kl > 0 and kc + 1 > kl then code = 5 end                                               -- KEY
end
if code == 0 and cost > 0 then
  if string.match(redis.call('INFO', 'replication'), 'master_replid:(%x%x%x%x%x%x%x%x)') ~= ARGV[9] then return {9} end -- REIGN
  local l = redis.call('HMGET', KEYS[3], 'id', 'avail', 'until', 'low', 'rest')
  local live = l[1] and ms < tonumber(l[3])
  if live then id, avail, rest = l[1], tonumber(l[2]), tonumber(l[5]) end
  local refill = false
  if live and avail >= cost then
    avail = redis.call('HINCRBY', KEYS[3], 'avail', -cost)
    refill = avail < tonumber(l[4]) or tonumber(l[3]) - ms < 6000
  else
    local kind, n = string.match(redis.call('GET', KEYS[4]) or '', '^(%a)(%d+)$')
    n = tonumber(n)
    if kind == 'E' and n < cost then code, rest = 7, n            -- NO_CREDITS: n = the balance Postgres gave, < 1 s ago
    elseif kind == 'B' and cost >= n then code = 8                -- IN_USE: the credits exist, leases hold them all
    else code, refill = 6, true end                               -- NEED_LEASE
  end
  if refill and redis.call('SET', KEYS[5], ARGV[7], 'NX', 'PX', ARGV[8]) then won = 1 end  -- one caller of all edges asks billing
end
if code == 0 and cost == 0 then                                                                 -- free: the lease is only shown
  local l = redis.call('HMGET', KEYS[3], 'id', 'avail', 'until', 'rest')
  if l[1] and ms < tonumber(l[3]) then id, avail, rest = l[1], tonumber(l[2]), tonumber(l[4]) end
end
if code == 0 and count then
  mc, dc = mc + 1, dc + 1
  redis.call('HSET', KEYS[1], 'mi', mi, 'mc', mc, 'mp', mp, 'di', di, 'dc', dc)
  if sdi ~= di then redis.call('EXPIRE', KEYS[1], 172800) end
  if kl > 0 then
    kc = kc + 1
    redis.call('HSET', KEYS[2], 'i', mi, 'c', kc)
    if kc == 1 then redis.call('EXPIRE', KEYS[2], 120) end
  end
end
return {code, av, ms, mc, mp, dc, kc, avail, rest, id, won}
