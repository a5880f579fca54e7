#!lua flags=allow-oom
-- Reads the whole log, or makes one. KEYS: see log.lua. ARGV: suffix of an epoch, and the epoch, position and nonce of a
-- record that was seen (epoch '0': none).
local log = whole_log()
-- Decimal numbers without leading zeros compare by length first.
local function later(a, b) return #a > #b or (#a == #b and a > b) end
if log and later(ARGV[2], log.epoch) then log = nil end
if log and ARGV[2] == log.epoch then
  if tonumber(ARGV[3]) > tonumber(log.position) then
    log = nil
  else
    local id = ARGV[2] .. '-' .. ARGV[3]
    local seen = ARGV[3] == log.position and log.nonce or ((redis.call('XRANGE', KEYS[3], id, id)[1] or {})[2] or {})[2]
    -- Trimmed away, it cannot be told whether it was this one: a failover may have put another in its place.
    if seen ~= ARGV[4] then log = nil end
  end
end
log = log or new_log(ARGV[1], ARGV[2])
return {log.epoch, log.position, log.nonce, log.floor, redis.call('HGETALL', KEYS[4]), redis.call('HGETALL', KEYS[5])}
