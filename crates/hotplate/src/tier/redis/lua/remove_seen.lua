-- Removes a value if it is the one that was seen. KEYS: value. ARGV: the piece of it that tells it from others; see lease.lua.
if start_of(KEYS[1], STAMP_END + 28):sub(STAMP_AT + 1) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
