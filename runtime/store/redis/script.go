package redis

import (
	"crypto/sha1" //nolint:gosec // it names scripts, as Redis does
	"encoding/hex"
)

// script is Lua that Redis runs as one step. Each answers with strings, the first of which says what came of it.
type script struct{ text, sha string }

func lua(text string) *script { return bare(prelude + text) }

func bare(text string) *script {
	sum := sha1.Sum([]byte(text))
	return &script{text, hex.EncodeToString(sum[:])}
}

// prelude is before every script. Times are whole microseconds, which a double holds exactly; num writes them without an exponent.
const prelude = `
local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end
local function num(n) return string.format('%.0f', n) end
local function ends(ttl) ttl = tonumber(ttl) if ttl > 0 then return num(now() + ttl) end return '0' end
local function last(log) return redis.call('XREVRANGE', log, '+', '-', 'COUNT', '1')[1] or {} end
local function lapsed(at) at = tonumber(at) return at > 0 and now() >= at end
`

// The scripts of a run: KEYS are its hash and its log.

// ARGV: mark, owner, ttl, pool, priority, finished, keep (ms), facts…
var createScript = lua(`
local made = redis.call('HGET', KEYS[1], 'made')
if made then
  if made == ARGV[1] then return {'ok'} end -- by us, in an attempt whose answer was lost
  return {'exists'}
end
redis.call('HSET', KEYS[1], 'made', ARGV[1], 'token', '1', 'owner', ARGV[2], 'until', ends(ARGV[3]), 'pool', ARGV[4], 'prio', ARGV[5])
for i = 8, #ARGV do redis.call('XADD', KEYS[2], num(i - 7) .. '-' .. ARGV[1], 'f', ARGV[i]) end
if ARGV[6] == '1' then
  redis.call('HSET', KEYS[1], 'fin', '1')
  if ARGV[7] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[7]) redis.call('PEXPIRE', KEYS[2], ARGV[7]) end
end
return {'ok'}
`)

// ARGV: owner, ttl, the token of a dead holder or ”.
var claimScript = lua(`
local m = redis.call('HMGET', KEYS[1], 'token', 'owner', 'until', 'fin', 'pool')
if not m[1] then return {'none'} end
if m[4] then return {'finished'} end
if m[2] ~= '' and m[2] ~= ARGV[1] and m[1] ~= ARGV[3] and not lapsed(m[3]) then return {'held', m[2], m[1]} end
local token, till = num(m[1] + 1), ends(ARGV[2])
redis.call('HSET', KEYS[1], 'token', token, 'owner', ARGV[1], 'until', till)
redis.call('HDEL', KEYS[1], 'rests', 'rested')
return {'ok', token, last(KEYS[2])[1] or '', m[5] or '', till}
`)

// ARGV: token, owner, ttl.
var extendScript = lua(`
local m = redis.call('HMGET', KEYS[1], 'token', 'owner', 'until')
if not m[1] then return {'none'} end
if m[1] ~= ARGV[1] or m[2] ~= ARGV[2] or m[2] == '' or lapsed(m[3]) then return {'fenced'} end
redis.call('HSET', KEYS[1], 'until', ends(ARGV[3]))
return {'ok'}
`)

// ARGV: token, owner.
var releaseScript = lua(`
local m = redis.call('HMGET', KEYS[1], 'token', 'owner')
if not m[1] then return {'none'} end
if m[1] == ARGV[1] and m[2] == ARGV[2] then redis.call('HSET', KEYS[1], 'owner', '') end
return {'ok'}
`)

// ARGV: token, owner, head, '1' when only being told something wakes it.
var restScript = lua(`
local m = redis.call('HMGET', KEYS[1], 'token', 'owner', 'until', 'rested', 'pool', 'prio')
if not m[1] then return {'none'} end
if m[4] == ARGV[1] and m[1] == ARGV[1] and m[2] == '' then return {'ok', m[5], m[6]} end -- our answer was lost
if m[1] ~= ARGV[1] or m[2] ~= ARGV[2] or m[2] == '' or lapsed(m[3]) then return {'fenced'} end
local head = num(redis.call('XLEN', KEYS[2]))
if head ~= ARGV[3] then return {'conflict', head} end
redis.call('HSET', KEYS[1], 'owner', '', 'rested', ARGV[1])
if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'rests', '1') else redis.call('HDEL', KEYS[1], 'rests') end
return {'ok', m[5], m[6]}
`)

// ARGV: token, owner, head, mark, the last entry the holder knows or ”, finished, keep (ms), channel, facts…
// A holder whose last entry is gone has seen facts that were lost: what it would add does not follow from this log. Every step of every run passes here, so the common
// case makes four calls, and nothing is defined that it does not need.
var appendScript = bare(`
local call, key, log = redis.call, KEYS[1], KEYS[2]
local m = call('HMGET', key, 'token', 'owner', 'until', 'fin', 'pool')
if not m[1] then return {'none'} end
local head, mark = tonumber(ARGV[3]), '-' .. ARGV[4]
local e = call('XREVRANGE', log, '+', '-', 'COUNT', '1')[1]
local last = e and e[1] or '0-0'
local len = tonumber(string.match(last, '^%d+'))
if len > head then
  local first = string.format('%.0f', head + 1) .. mark
  if call('XRANGE', log, first, first)[1] then return {'ok', m[5]} end -- our answer was lost
end
local held = m[1] == ARGV[1] and m[2] == ARGV[2] and m[2] ~= ''
if held and m[3] ~= '0' then
  local t = call('TIME')
  held = t[1] * 1000000 + t[2] < tonumber(m[3])
end
if not held then return {'fenced'} end
if m[4] then return {'finished'} end
if len ~= head then return {'conflict', string.format('%.0f', len)} end
if last ~= ARGV[5] and ARGV[5] ~= '' and not call('XRANGE', log, ARGV[5], ARGV[5])[1] then
  call('HSET', key, 'owner', '')
  return {'torn'}
end
for i = 9, #ARGV do call('XADD', log, string.format('%.0f', head + i - 8) .. mark, 'f', ARGV[i]) end
if ARGV[6] == '1' then
  call('HSET', key, 'fin', '1')
  if ARGV[7] ~= '0' then call('PEXPIRE', key, ARGV[7]) call('PEXPIRE', log, ARGV[7]) end
end
call('PUBLISH', ARGV[8], '')
return {'ok', m[5]}
`)

// ARGV: fact, mark, dedup key, channel of the run, channel of who listens to all runs, run.
var tellScript = lua(`
local m = redis.call('HMGET', KEYS[1], 'token', 'fin', 'pool', 'prio', 'd:' .. ARGV[3])
if not m[1] then return {'none'} end
if m[5] then
  local seq, mark = string.match(m[5], '^(%d+)-(%d+)$')
  if mark == ARGV[2] and not m[2] then return {'ok', seq, m[3], m[4]} end -- our answer was lost
  return {'told', seq}
end
if m[2] then return {'finished'} end
local seq = num(redis.call('XLEN', KEYS[2]) + 1)
local entry = seq .. '-' .. ARGV[2]
redis.call('XADD', KEYS[2], entry, 'f', ARGV[1])
redis.call('HSET', KEYS[1], 'd:' .. ARGV[3], entry)
redis.call('HDEL', KEYS[1], 'rests')
redis.call('PUBLISH', ARGV[4], '')
redis.call('PUBLISH', ARGV[5], ARGV[6])
return {'ok', seq, m[3], m[4]}
`)

// It tells how a run stands: none, finished, held (by whom), rests or free; then its pool, its index entry, its priority, and until when it is held.
var standScript = lua(`
local m = redis.call('HMGET', KEYS[1], 'token', 'fin', 'owner', 'until', 'rests', 'pool', 'e', 'prio')
if not m[1] then return {'none'} end
local pool, entry, prio = m[6] or '', m[7] or '', m[8] or '0'
if m[2] then return {'finished', '', pool, entry} end
if m[3] ~= '' and not lapsed(m[4]) then return {'held', m[3], pool, entry, prio, m[4]} end
if m[5] then return {'rests', '', pool, entry} end
return {'free', '', pool, entry, prio}
`)

// ARGV: channel of the run.
var removeScript = lua(`
local m = redis.call('HMGET', KEYS[1], 'token', 'fin', 'pool', 'e')
if not m[1] then return {'none'} end
if not m[2] then return {'held'} end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('PUBLISH', ARGV[1], '')
return {'ok', m[3] or '', m[4] or ''}
`)

// KEYS: the hash of a run. ARGV: seq of the entry, entry. It answers with the list that the run is known to be in.
var entryScript = lua(`
local m = redis.call('HMGET', KEYS[1], 'token', 'es', 'list')
if not m[1] then return {'none'} end
if m[2] and tonumber(m[2]) > tonumber(ARGV[1]) then return {'old'} end
redis.call('HSET', KEYS[1], 'es', ARGV[1], 'e', ARGV[2])
return {'ok', m[3] or ''}
`)

// KEYS: the hash of a run. ARGV: the list it is in.
var listedScript = lua(`
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'list', ARGV[1]) end
return {'ok'}
`)

// The scripts of one shard of a pool: KEYS are open, hints, ready, later, leases.
// hints: run → 'PRIO DUE', DUE in nanoseconds with 19 digits, so that texts compare as numbers. ready: score -PRIO, member 'DUE RUN', so that the first is the next.
// later: score DUE in microseconds. leases: run → 'UNTIL OWNER', the lease as it was when it was taken; UNTIL 0 does not lapse, 1 is for whoever looks next.

// ARGV: run, owner, ttl. Owner ” when a lease is not known; and ttl 0 when there is none, since the run rests.
var openScript = lua(`
redis.call('ZADD', KEYS[1], 'NX', num(now()), ARGV[1])
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[5], ARGV[1], ends(ARGV[3]) .. ' ' .. ARGV[2])
elseif ARGV[3] ~= '0' then
  redis.call('HSETNX', KEYS[5], ARGV[1], '1 ')
end
return {'ok'}
`)

// ARGV: run, lease; and what must stand there now, else it stays as another has written it meanwhile. No lease: it is none to look at.
var leaseScript = lua(`
if ARGV[3] and redis.call('HGET', KEYS[5], ARGV[1]) ~= ARGV[3] then return {'ok'} end
if ARGV[2] == '' then redis.call('HDEL', KEYS[5], ARGV[1]) else redis.call('HSET', KEYS[5], ARGV[1], ARGV[2]) end
return {'ok'}
`)

// It tells the time, and of each lease the run, the lease, and whether the run has a hint.
var leasesScript = lua(`
local all = redis.call('HGETALL', KEYS[5])
local out = {'ok', num(now())}
for i = 1, #all, 2 do
  out[#out + 1] = all[i]
  out[#out + 1] = all[i + 1]
  out[#out + 1] = num(redis.call('HEXISTS', KEYS[2], all[i]))
end
return out
`)

// ARGV: run.
var closeScript = lua(`
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[5], ARGV[1])
local old = redis.call('HGET', KEYS[2], ARGV[1])
if old then
  redis.call('HDEL', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], string.match(old, '(%d+)$') .. ' ' .. ARGV[1])
  redis.call('ZREM', KEYS[4], ARGV[1])
end
return {'ok'}
`)

// ARGV: run, priority, due, channel.
var hintScript = lua(`
local id, prio, due = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local old = redis.call('HGET', KEYS[2], id)
if old then
  local p, d = string.match(old, '^(%S+) (%d+)$')
  redis.call('ZREM', KEYS[3], d .. ' ' .. id)
  redis.call('ZREM', KEYS[4], id)
  prio = math.max(prio, tonumber(p))
  if d < due then due = d end
end
redis.call('HSET', KEYS[2], id, num(prio) .. ' ' .. due)
local at = tonumber(string.sub(due, 1, 16))
if string.sub(due, 17) ~= '000' then at = at + 1 end
if at <= now() then
  redis.call('ZADD', KEYS[3], num(-prio), due .. ' ' .. id)
else
  redis.call('ZADD', KEYS[4], num(at), id)
end
redis.call('PUBLISH', ARGV[4], '')
return {'ok'}
`)

const promote = `
local t = now()
local due = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', num(t))
for _, id in ipairs(due) do
  local h = redis.call('HGET', KEYS[2], id)
  if h then
    local p, d = string.match(h, '^(%S+) (%d+)$')
    redis.call('ZADD', KEYS[3], num(-tonumber(p)), d .. ' ' .. id)
  end
end
if #due > 0 then redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', num(t)) end
`

// It tells the next hint that is due, or when one will be, by the clock that it tells too.
var peekScript = lua(promote + `
local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
if first[1] then return {'due', first[1], num(-tonumber(first[2]))} end
local next = redis.call('ZRANGE', KEYS[4], 0, 0)
if not next[1] then return {'idle'} end
return {'later', string.match(redis.call('HGET', KEYS[2], next[1]) or '', '(%d+)$') or '', num(t)}
`)

// ARGV: the member of ready to take away, ” for the first.
var takeScript = lua(promote + `
local first
if ARGV[1] ~= '' then
  first = {ARGV[1], redis.call('ZSCORE', KEYS[3], ARGV[1])}
  if not first[2] then return {'gone'} end
else
  first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
end
if first[1] then
  redis.call('ZREM', KEYS[3], first[1])
  local id = string.sub(first[1], 21)
  redis.call('HDEL', KEYS[2], id)
  redis.call('HSET', KEYS[5], id, '1 ') -- whoever takes it may die before it claims the run
  return {'due', first[1], num(-tonumber(first[2]))}
end
local next = redis.call('ZRANGE', KEYS[4], 0, 0)
if not next[1] then return {'idle'} end
return {'later', string.match(redis.call('HGET', KEYS[2], next[1]) or '', '(%d+)$') or '', num(t)}
`)

var queuedScript = lua(promote + `return {num(redis.call('ZCARD', KEYS[3]))}`)

// It lists the unfinished runs from a score on, as run and score; with ARGV[3] '1' only those without a hint. ARGV: score, how many, whether. The last element is the
// score to go on from, or ”.
var opensScript = lua(`
local got = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local out = {'ok'}
for i = 1, #got, 2 do
  if ARGV[3] ~= '1' or redis.call('HEXISTS', KEYS[2], got[i]) == 0 then
    out[#out + 1] = got[i]
    out[#out + 1] = num(tonumber(got[i + 1]))
  end
end
out[#out + 1] = ''
if #got == 2 * tonumber(ARGV[2]) then out[#out] = num(tonumber(got[#got])) end
return out
`)

// The scripts of limits, each with one key.

// ARGV: holder, slots, ttl.
var slotScript = lua(`
local t = now()
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', num(t))
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return {'full'} end
redis.call('ZADD', KEYS[1], num(t + ARGV[3]), ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIRE', KEYS[1], num(math.ceil((last[2] - t) / 1000) + 1000))
return {'ok'}
`)

// ARGV: gap and slack in microseconds, as decimals. The key holds the theoretical arrival time of the next.
var rateScript = lua(`
local t = now()
local arrival = math.max(t, tonumber(redis.call('GET', KEYS[1]) or '0'))
local wait = arrival - t - ARGV[2]
if wait > 0 then return {string.format('%.3f', wait)} end
arrival = arrival + ARGV[1]
redis.call('SET', KEYS[1], string.format('%.3f', arrival), 'PX', num(math.ceil((arrival - t) / 1000) + 1000))
return {'0'}
`)

// The scripts of blobs, each with one key: hash {d: bytes, t: put}.

// ARGV: bytes.
var blobScript = lua(`
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], 'd', ARGV[1]) end
redis.call('HSET', KEYS[1], 't', num(now()))
return {'ok'}
`)

// ARGV: time.
var dropBlobScript = lua(`
local put = redis.call('HGET', KEYS[1], 't')
if put and tonumber(put) < tonumber(ARGV[1]) then redis.call('DEL', KEYS[1]) end
return {'ok'}
`)

// The scripts of documents: KEYS are the document, a hash {v, d, n: mark of the last write}, and the names of its kind in its shard.

// ARGV: name, version, bytes, mark.
var docScript = lua(`
local m = redis.call('HMGET', KEYS[1], 'v', 'n')
local at = m[1] or '0'
if at ~= ARGV[2] then
  if m[2] == ARGV[4] then return {'ok'} end -- our answer was lost
  return {'conflict', at}
end
redis.call('HSET', KEYS[1], 'v', num(at + 1), 'd', ARGV[3], 'n', ARGV[4])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
return {'ok'}
`)

// ARGV: name, version.
var dropDocScript = lua(`
local at = redis.call('HGET', KEYS[1], 'v')
if at and at ~= ARGV[2] then return {'conflict', at} end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return {'ok'}
`)
