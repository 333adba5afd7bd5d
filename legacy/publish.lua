-- Publishes one batch of a bay for the old system's consumers: hash first, then message, once, in order, and
-- only for the side that owns the bay. Redis runs a script whole or not at all.
--
-- KEYS  1 who owns the bay: "old" or "new"   2 the last slot that was published   3 the hash
-- ARGV  1 which side this is   2 the slot, YYYYmmdd-HHMMSS in UTC   3 the channel   4 the message
--       5 how many must listen   6 seconds for which the hash stays, 0: for ever   7... field, value, field, value
--
-- Answers  published    not owner    already (this slot or a later one)    no consumer
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 'not owner'
end
local last = redis.call('GET', KEYS[2])
if last and last >= ARGV[2] then
  return 'already'
end
if redis.call('PUBSUB', 'NUMSUB', ARGV[3])[2] < tonumber(ARGV[5]) then
  return 'no consumer'
end
for i = 7, #ARGV, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
end
if tonumber(ARGV[6]) > 0 then
  redis.call('EXPIRE', KEYS[3], ARGV[6])
end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 'published'
