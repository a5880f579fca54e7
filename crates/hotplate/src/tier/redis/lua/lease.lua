#!lua flags=allow-oom
-- Asks for a lease. KEYS: value, lease. ARGV: token, milliseconds, the stamp of the value that was seen ('': none).
-- Returns {0, 0} granted, {1, milliseconds left} held, {2, 0} the value is another one by now.
if redis.call('GETRANGE', KEYS[1], STAMP_AT, STAMP_END) ~= ARGV[3] then return {2, 0} end
local owner = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[1] then return {1, redis.call('PTTL', KEYS[2])} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {0, 0}
