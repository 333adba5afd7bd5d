-- Publishes one batch of a bay for the old system's consumers: hash first, then message, once, in order, and
-- only for the side that owns the bay. Redis runs a script whole or not at all.
--
-- KEYS  1 who owns the bay: "old" or "new"   2 the last slot that was published   3... the hashes of the batch
-- ARGV  1 which side this is   2 the slot, YYYYmmdd-HHMMSS in UTC   3 the channel   4 the message
--       5 how many must listen   6 seconds for which a hash stays, 0: for ever
--       7 "own": a hash holds this batch alone, and what was in it goes; "shared": it holds others as well
--       8... for each hash: how many values follow, then field, value, field, value
--
-- Answers  published   not owner   already (this slot or a later one)   no consumer
--          no slot (ARGV 2, or what the key of the last one holds)
--          no hash, no text (a key is there and holds another type)
local SLOT = '^%d%d%d%d%d%d%d%d%-%d%d%d%d%d%d$'

-- Before Redis 5 a script that asks who listens may write only after this.
if redis.replicate_commands then
  redis.replicate_commands()
end
for i, key in ipairs(KEYS) do
  local kind, wanted = redis.call('TYPE', key).ok, i > 2 and 'hash' or 'string'
  if kind ~= 'none' and kind ~= wanted then
    return i > 2 and 'no hash' or 'no text'
  end
end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 'not owner'
end
local last = redis.call('GET', KEYS[2])
if not string.match(ARGV[2], SLOT) or (last and not string.match(last, SLOT)) then
  return 'no slot'
end
if last and last >= ARGV[2] then
  return 'already'
end
if redis.call('PUBSUB', 'NUMSUB', ARGV[3])[2] < tonumber(ARGV[5]) then
  return 'no consumer'
end
local at = 8
for i = 3, #KEYS do
  if ARGV[7] == 'own' then
    redis.call('DEL', KEYS[i])
  end
  local last_value = at + tonumber(ARGV[at])
  for j = at + 1, last_value, 2 do
    redis.call('HSET', KEYS[i], ARGV[j], ARGV[j + 1])
  end
  if tonumber(ARGV[6]) > 0 then
    redis.call('EXPIRE', KEYS[i], ARGV[6])
  end
  at = last_value + 1
end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 'published'
