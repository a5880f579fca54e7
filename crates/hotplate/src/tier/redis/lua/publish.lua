-- Stores a value unless a newer one is there. KEYS: value. ARGV: value, milliseconds, '1' to replace what is newer, '1' to
-- live at least as long as what is there.
local present = start_of(KEYS[1], STAMP_END)
local is_ours = #present == STAMP_END + 1 and present:sub(1, 4) == ARGV[1]:sub(1, 4)
if ARGV[3] ~= '1' and is_ours and is_newer(present, ARGV[1]:sub(1, STAMP_END + 1)) then return 0 end
local millis = tonumber(ARGV[2])
if ARGV[4] == '1' then millis = math.max(millis, redis.call('PTTL', KEYS[1])) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', string.format('%.0f', millis))
return 1
