-- Requests from a file, one after the other; answers counted by what was left out of them.
-- Arguments: the file, then the words by which an answer says that something is missing.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  requests, words, at, full, partial, failed = {}, {}, 0, 0, 0, 0
  local file = assert(io.open(arguments[1], "rb"))
  for length in file:lines() do
    table.insert(requests, file:read(tonumber(length)))
  end
  file:close()
  for number = 2, #arguments do
    table.insert(words, arguments[number])
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

local function missing(body)
  if body:find('"fallback": ?null') then
    return false
  end
  for _, word in ipairs(words) do
    if body:find(word, 1, true) then
      return true
    end
  end
  return false
end

function response(status, headers, body)
  if status ~= 200 then
    failed = failed + 1
  elseif missing(body) then
    partial = partial + 1
  else
    full = full + 1
  end
end

function done(summary)
  local told = { full = 0, partial = 0, failed = 0 }
  for _, thread in ipairs(threads) do
    for name in pairs(told) do
      told[name] = told[name] + thread:get(name)
    end
  end
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  local text = '{"seconds": %f, "full": %d, "partial": %d, "failed": %d}\n'
  io.write(text:format(summary.duration / 1e6, told.full, told.partial, told.failed + lost))
end
