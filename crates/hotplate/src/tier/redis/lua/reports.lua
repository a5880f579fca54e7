-- What processes have told of themselves lately; what is older goes. KEYS: told, asked. ARGV: milliseconds.
redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
local time = redis.call('TIME')
local since = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
local told = redis.call('HGETALL', KEYS[1])
local reports = {}
for place = 1, #told, 2 do
  local at, report = string.match(told[place + 1], '^(%d+):(.*)$')
  if at and tonumber(at) > since then
    reports[#reports + 1] = report
  else
    redis.call('HDEL', KEYS[1], told[place])
  end
end
return reports
