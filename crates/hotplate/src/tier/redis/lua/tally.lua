-- Adds to a counter, which begins at 0 and lives from its first addition on; nil: the number would be too great.
-- KEYS: counter. ARGV: number, milliseconds.
local count = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(count) == 'table' then return nil end
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return count
