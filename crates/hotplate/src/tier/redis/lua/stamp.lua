-- Stamps of values; this stands before every script that compares them.

-- What is stored, from its start to a byte; '' where there is nothing. What is no string was not written by hotplate.
local function start_of(name, last)
  local kind = redis.call('TYPE', name)['ok']
  if kind == 'none' then return '' end
  if kind ~= 'string' then
    redis.call('UNLINK', name)
    return ''
  end
  return redis.call('GETRANGE', name, 0, last)
end

-- Whether the stamp in one start of a value is newer than that in another.
local function is_newer(one, other)
  local function parts(value)
    local e1, e2, p1, p2, t1, t2 = struct.unpack('<I4I4I4I4I4I4', value:sub(STAMP_AT + 1))
    -- The time is signed.
    return {e2, e1, p2, p1, (t2 + 2147483648) % 4294967296, t1}
  end
  local left, right = parts(one), parts(other)
  for i = 1, 6 do
    if left[i] ~= right[i] then return left[i] > right[i] end
  end
  return false
end
