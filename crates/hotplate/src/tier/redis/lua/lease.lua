#!lua flags=allow-oom
-- Asks for a lease. KEYS: value, lease. ARGV: token, milliseconds, the piece of the value that was seen ('': none) which tells
-- it from others: its stamp and as much as a nonce takes.
-- Returns {0, 0} granted, {1, milliseconds left} held, {2, 0} the value is another one by now.
if start_of(KEYS[1], STAMP_END + 28):sub(STAMP_AT + 1) ~= ARGV[3] then return {2, 0} end
local owner = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[1] then return {1, redis.call('PTTL', KEYS[2])} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {0, 0}
