-- The log in five keys of one slot; this stands before every script that uses it.
-- KEYS: 1 head, 2 state, 3 stream, 4 and 5 two generations of markers, 6 the nonce of one record.
-- Positions are doubles in Lua and exact up to 2^53; epochs are text.
local STREAM_LENGTH = 50000
local GENERATION = 50000
local NONCE_SECONDS = 600
local SHORTEST_SECONDS = 86400

-- What a command gives; nothing where the key has another type.
local function try(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then return nil end
  return answer
end

local function text(number) return string.format('%.0f', number) end

-- The log, or nil where any part of it is missing: evicted, flushed, or never made.
local function whole_log()
  local head = try('GET', KEYS[1])
  if not head then return nil end
  local epoch, position = head:match('^(%d+):(%d+)$')
  local state = try('HMGET', KEYS[2], 'epoch', 'nonce', 'generation', 'floor', 'start', 'turned', 'retain')
  if not epoch or not state or state[1] ~= epoch then return nil end
  for i = 2, 7 do
    if not state[i] or not tonumber(state[i], i == 2 and 16 or 10) then return nil end
  end
  local kind = redis.call('TYPE', KEYS[3]).ok
  if kind ~= 'stream' and kind ~= 'none' then return nil end
  for i = 4, 5 do
    if try('HGET', KEYS[i], '#') ~= epoch then return nil end
  end
  return {epoch = epoch, position = position, nonce = state[2], generation = tonumber(state[3]), floor = state[4],
    start = state[5], turned = tonumber(state[6]), retain = tonumber(state[7])}
end

local function keep(retain)
  local seconds = math.max(SHORTEST_SECONDS, math.ceil(retain / 500))
  for i = 1, 5 do redis.call('EXPIRE', KEYS[i], seconds) end
end

-- A log of a new epoch. Its first entry in the stream wakes those who wait for records of the epoch before.
local function new_log(suffix, seen)
  local retain = tonumber(try('HGET', KEYS[2], 'retain') or '') or 0
  local time = redis.call('TIME')
  local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
  -- Greater than any epoch that is known, whatever the clock says: microseconds are exact in a double.
  local function after(epoch)
    local known = epoch and tonumber(epoch:sub(1, -4))
    if known and known < 9007199254740992 and known >= micros then micros = known + 1 end
  end
  after((try('GET', KEYS[1]) or ''):match('^(%d+):'))
  after(try('HGET', KEYS[2], 'epoch') or nil)
  after(try('HGET', KEYS[4], '#') or nil)
  after(try('HGET', KEYS[5], '#') or nil)
  after(seen)
  local last = try('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
  if last and #last > 0 then after(last[1][1]:match('^%d+')) end
  local epoch = text(micros) .. suffix
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[4], KEYS[5])
  if not last then redis.call('DEL', KEYS[3]) end
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', STREAM_LENGTH, epoch .. '-0', 'n', '0', 'p', '0', 'm', 'h', 't', '')
  redis.call('SET', KEYS[1], epoch .. ':0')
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'nonce', '0', 'generation', 0, 'floor', 0, 'start', 0, 'turned', time[1],
    'retain', retain)
  redis.call('HSET', KEYS[4], '#', epoch)
  redis.call('HSET', KEYS[5], '#', epoch)
  keep(retain)
  return {epoch = epoch, position = '0', nonce = '0', generation = 0, floor = '0', start = '0',
    turned = tonumber(time[1]), retain = retain}
end
