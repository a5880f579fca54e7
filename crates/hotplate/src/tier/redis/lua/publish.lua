-- Stores a value unless a newer one is there. KEYS: value. ARGV: value, milliseconds, '1' to replace what is newer, '1' to
-- live at least as long as what is there.
local function stamp(value)
  local e1, e2, p1, p2, t1, t2 = struct.unpack('<I4I4I4I4I4I4', value)
  return {e2, e1, p2, p1, t2, t1}
end
local present = redis.call('GETRANGE', KEYS[1], 0, STAMP_END)
if ARGV[3] ~= '1' and #present == STAMP_END + 1 and present:sub(1, 4) == ARGV[1]:sub(1, 4) then
  local old, new = stamp(present:sub(STAMP_AT + 1)), stamp(ARGV[1]:sub(STAMP_AT + 1, STAMP_END + 1))
  for i = 1, 6 do
    if old[i] > new[i] then return 0 end
    if old[i] < new[i] then break end
  end
end
local millis = tonumber(ARGV[2])
if ARGV[4] == '1' then millis = math.max(millis, redis.call('PTTL', KEYS[1])) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', string.format('%.0f', millis))
return 1
