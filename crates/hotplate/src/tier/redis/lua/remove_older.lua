-- Removes a value unless it is as new as a stamp, or newer. KEYS: value. ARGV: as many bytes as stand before a stamp, and the
-- stamp.
local present = start_of(KEYS[1], STAMP_END)
if #present == STAMP_END + 1 and not is_newer(ARGV[1], present) then return 0 end
return redis.call('UNLINK', KEYS[1])
