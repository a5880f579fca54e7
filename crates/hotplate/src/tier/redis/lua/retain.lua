#!lua flags=allow-oom
-- Raises how long markers are kept, and keeps the log alive. KEYS: see log.lua. ARGV: suffix of an epoch, milliseconds.
local log = whole_log() or new_log(ARGV[1])
local retain = math.max(log.retain, tonumber(ARGV[2]))
redis.call('HSET', KEYS[2], 'retain', text(retain))
keep(retain)
return 1
