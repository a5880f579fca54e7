#!lua flags=allow-oom
-- Appends a record to the log. KEYS: see log.lua. ARGV: suffix of an epoch, nonce, mode ('h' or 's'), ids ('*': everything).
-- The log is small and must not be lost for want of memory: hence allow-oom.
local appended = redis.call('GET', KEYS[6])
local log = whole_log() or new_log(ARGV[1])
if appended then
  local epoch, position = appended:match('^(%d+):(%d+)$')
  if epoch == log.epoch then return {epoch, position} end
end
local position = text(tonumber(log.position) + 1)
local generation = KEYS[4 + log.generation]
local everything = false
for i = 4, #ARGV do
  redis.call('HSET', generation, ARGV[3] .. ARGV[i], position)
  everything = everything or (ARGV[3] == 'h' and ARGV[i] == '*')
end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', STREAM_LENGTH, log.epoch .. '-' .. position,
  'n', ARGV[2], 'p', log.nonce, 'm', ARGV[3], 't', table.concat(ARGV, ' ', 4))
redis.call('SET', KEYS[1], log.epoch .. ':' .. position)
redis.call('HSET', KEYS[2], 'nonce', ARGV[2])
redis.call('SET', KEYS[6], log.epoch .. ':' .. position, 'EX', NONCE_SECONDS)
local now = tonumber(redis.call('TIME')[1])
if everything then
  -- No marker says more.
  redis.call('DEL', KEYS[4], KEYS[5])
  redis.call('HSET', KEYS[4], '#', log.epoch)
  redis.call('HSET', KEYS[5], '#', log.epoch)
  redis.call('HSET', KEYS[2], 'floor', position, 'start', position, 'turned', now)
elseif redis.call('HLEN', generation) > GENERATION or (now - log.turned) * 1000 > log.retain then
  -- The older generation goes. What it would make untrue began before the younger one, and has expired if that has
  -- lasted as long as anything is kept.
  local older = KEYS[5 - log.generation]
  redis.call('UNLINK', older)
  redis.call('HSET', older, '#', log.epoch)
  redis.call('HSET', KEYS[2], 'generation', 1 - log.generation, 'floor', log.start, 'start', position, 'turned', now)
end
keep(log.retain)
return {log.epoch, position}
