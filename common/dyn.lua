#!lua name=dyn
-- The Functions that guard what only one holder of a lease may write. Arguments, replies and
-- errors are laid down in common/PROTOCOL.md. Redis 7.0 or later.
--
-- Each function checks everything before its first write, because a failed function is not
-- rolled back. Epochs, cursors and IDs travel as decimal text: Lua's numbers are doubles.

local PUBLISH_MAX = 256
local MEMBERS_MAX = 1024
local GONE_MAX = 64
local SETTLE_MAX = 64
local REPLID_MAX = 64
local BUCKETS_MAX = 128

local function is_number(text)
    return text ~= nil and #text <= 20 and (text == '0' or text:find('^[1-9]%d*$') ~= nil)
end

-- Whether a < b for decimal texts without leading zeros.
local function less(a, b)
    if #a ~= #b then
        return #a < #b
    end
    return a < b
end

local function wrong(words)
    return redis.error_reply('ERR ' .. words)
end

-- nil when owner and epoch hold the lease, else the error to answer.
local function fenced(lease, owner, epoch)
    local held = redis.call('HMGET', lease, 'owner', 'epoch')
    if owner ~= nil and owner ~= '' and held[1] == owner and held[2] == epoch then
        return nil
    end
    return redis.error_reply('FENCED the lease is not held with this owner and epoch')
end

local function trim(stream, minid_ms, maxlen)
    if minid_ms ~= '0' then
        redis.call('XTRIM', stream, 'MINID', '~', minid_ms)
    end
    if maxlen ~= '0' then
        redis.call('XTRIM', stream, 'MAXLEN', '~', maxlen)
    end
end

-- keys: lease. args: owner, seen epoch, seen beat, highest epoch that the taker knows. -> [epoch,
-- cursor ms, cursor seq, replid whose losses were acted on last]
local function acquire(keys, args)
    local lease = keys[1]
    local owner, seen_epoch, seen_beat = args[1], args[2], args[3]
    if #keys ~= 1 or #args ~= 4 or owner == '' or not is_number(seen_epoch)
        or not is_number(seen_beat) or not is_number(args[4]) then
        return wrong('dyn_acquire lease owner seen_epoch seen_beat known_epoch')
    end
    local held = redis.call('HMGET', lease, 'epoch', 'beat', 'cursor_ms', 'cursor_seq', 'replid')
    local epoch, beat = held[1] or '0', held[2] or '0'
    if epoch ~= seen_epoch or beat ~= seen_beat then
        return redis.error_reply('FENCED the lease has moved since it was seen')
    end
    local now = redis.call('TIME')
    local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
    local known = math.max(tonumber(epoch), tonumber(args[4]))
    local next_epoch = string.format('%.0f', math.max(known + 1, now_ms))
    redis.call('HSET', lease, 'owner', owner, 'epoch', next_epoch, 'call', '0')
    redis.call('HINCRBY', lease, 'beat', 1)
    return {next_epoch, held[3] or '0', held[4] or '0', held[5] or ''}
end

-- keys: lease. args: owner, epoch, and the replid whose losses were acted on. -> beat
local function renew(keys, args)
    if #keys ~= 1 or #args < 2 or #args > 3 or #(args[3] or '') > REPLID_MAX then
        return wrong('dyn_renew lease owner epoch [replid]')
    end
    local refusal = fenced(keys[1], args[1], args[2])
    if refusal then
        return refusal
    end
    if args[3] then
        redis.call('HSET', keys[1], 'replid', args[3])
    end
    return redis.call('HINCRBY', keys[1], 'beat', 1)
end

-- keys: lease. args: owner, epoch. -> OK. Epoch, beat and cursor stay.
local function release(keys, args)
    if #keys ~= 1 or #args ~= 2 then
        return wrong('dyn_release lease owner epoch')
    end
    local refusal = fenced(keys[1], args[1], args[2])
    if refusal then
        return refusal
    end
    redis.call('HDEL', keys[1], 'owner')
    return redis.status_reply('OK')
end

-- Forget a cursor that lies beyond the newest entry: the log was deleted, and began anew.
local function cursor_bound(lease, id)
    local held = redis.call('HMGET', lease, 'cursor_ms', 'cursor_seq')
    local ms, seq = id:match('^(%d+)-(%d+)$')
    local last_ms, last_seq = held[1] or '0', held[2] or '0'
    if less(ms, last_ms) or (ms == last_ms and less(seq, last_seq)) then
        redis.call('HSET', lease, 'cursor_ms', '0', 'cursor_seq', '0')
    end
end

-- keys: lease, values. args: owner, epoch, payload, minid ms, maxlen. -> ID
local function tick(keys, args)
    if #keys ~= 2 or #args ~= 5 or not is_number(args[4]) or not is_number(args[5]) then
        return wrong('dyn_tick lease values owner epoch payload minid_ms maxlen')
    end
    local refusal = fenced(keys[1], args[1], args[2])
    if refusal then
        return refusal
    end
    local id = redis.call('XADD', keys[2], '*', 'm', args[3])
    redis.call('HINCRBY', keys[1], 'beat', 1)
    cursor_bound(keys[1], id)
    trim(keys[2], args[4], args[5])
    return id
end

-- Whether the call may be done: nil, or what to answer instead.
local function publish_check(lease, call, ms, seq)
    local held = redis.call('HMGET', lease, 'call', 'cursor_ms', 'cursor_seq')
    local last_call, last_ms, last_seq = held[1] or '0', held[2] or '0', held[3] or '0'
    if call == last_call then
        return {last_ms, last_seq}
    end
    if less(call, last_call) then
        return redis.error_reply('BACKWARDS call ' .. call .. ' comes after ' .. last_call)
    end
    if less(ms, last_ms) or (ms == last_ms and less(seq, last_seq)) then
        return redis.error_reply('BACKWARDS the cursor stands at ' .. last_ms .. '-' .. last_seq)
    end
    return nil
end

-- keys: lease, targets, newest. args: owner, epoch, call, cursor ms, cursor seq, minid ms, count,
-- count times (controller, payload), mark. -> [cursor ms, cursor seq]
local function publish(keys, args)
    for i = 3, 7 do
        if not is_number(args[i]) then
            return wrong('dyn_publish: argument ' .. i .. ' is no number')
        end
    end
    local count = tonumber(args[7])
    if #keys ~= 3 or count > PUBLISH_MAX or #args ~= 8 + 2 * count or args[3] == '0' then
        return wrong('dyn_publish lease targets newest owner epoch call cursor_ms cursor_seq '
            .. 'minid_ms count [controller payload]... mark')
    end
    local answer = fenced(keys[1], args[1], args[2])
        or publish_check(keys[1], args[3], args[4], args[5])
    if answer then
        return answer
    end
    for i = 8, 7 + 2 * count, 2 do
        redis.call('XADD', keys[2], '*', 'm', args[i + 1])
        redis.call('HSET', keys[3], args[i], args[i + 1])
    end
    if args[#args] ~= '' then
        redis.call('XADD', keys[2], '*', 'm', args[#args])
    end
    redis.call('HSET', keys[1], 'call', args[3], 'cursor_ms', args[4], 'cursor_seq', args[5])
    trim(keys[2], args[6], '0')
    return {args[4], args[5]}
end

-- keys: lease, journal. args: owner, epoch, field, intent. -> OK
local function act_begin(keys, args)
    if #keys ~= 2 or #args ~= 4 or args[3] == '' or args[3]:find(':', 1, true) then
        return wrong('dyn_act_begin lease journal owner epoch field intent')
    end
    local refusal = fenced(keys[1], args[1], args[2])
    if refusal then
        return refusal
    end
    local open = redis.call('HGET', keys[2], args[3] .. ':open')
    if open then
        return redis.error_reply('INFLIGHT an intent of epoch ' .. open .. ' is open')
    end
    redis.call('HSET', keys[2], args[3], args[4], args[3] .. ':open', args[2])
    return redis.status_reply('OK')
end

-- keys: lease, journal, actions. args: owner, epoch, field, intent, action, actions maxlen. -> ID
-- of the action. Not open: it was done before, and the ID of then is the answer. An empty action
-- writes the intent alone and leaves open what is open.
local function act_end(keys, args)
    if #keys ~= 3 or #args ~= 6 or args[3] == '' or args[3]:find(':', 1, true)
        or not is_number(args[6]) then
        return wrong('dyn_act_end lease journal actions owner epoch field intent action maxlen')
    end
    local refusal = fenced(keys[1], args[1], args[2])
    if refusal then
        return refusal
    end
    local field, journal = args[3], keys[2]
    if args[5] == '' then
        redis.call('HSET', journal, field, args[4])
        return ''
    end
    if redis.call('HEXISTS', journal, field .. ':open') == 0 then
        return redis.call('HGET', journal, field .. ':done') or ''
    end
    local id = redis.call('XADD', keys[3], '*', 'm', args[5])
    redis.call('HSET', journal, field, args[4], field .. ':done', id)
    redis.call('HDEL', journal, field .. ':open')
    trim(keys[3], '0', args[6])
    return id
end

-- keys: lease, cursors. args: owner, epoch, count, count times (field, value), fields that go... ->
-- OK
local function settle(keys, args)
    local count = args[3] and is_number(args[3]) and tonumber(args[3]) or SETTLE_MAX + 1
    if #keys ~= 2 or count > SETTLE_MAX or #args < 3 + 2 * count or #args > 3 + 3 * SETTLE_MAX then
        return wrong('dyn_settle lease cursors owner epoch count [field value]... [gone]...')
    end
    local refusal = fenced(keys[1], args[1], args[2])
    if refusal then
        return refusal
    end
    for i = 4, 2 + 2 * count, 2 do
        redis.call('HSET', keys[2], args[i], args[i + 1])
    end
    for i = 4 + 2 * count, #args do
        redis.call('HDEL', keys[2], args[i])
    end
    return redis.status_reply('OK')
end

-- keys: members. args: member, text, members that are gone... -> [member, "beat text", ...]
local function beat(keys, args)
    if #keys ~= 1 or #args < 2 or #args > 2 + GONE_MAX or args[1] == '' or #args[2] > 1024 then
        return wrong('dyn_beat members member text [gone]...')
    end
    for i = 3, #args do
        if args[i] ~= args[1] then
            redis.call('HDEL', keys[1], args[i])
        end
    end
    local old = redis.call('HGET', keys[1], args[1])
    if not old and redis.call('HLEN', keys[1]) >= MEMBERS_MAX then
        return redis.error_reply('FULL there are ' .. MEMBERS_MAX .. ' members already')
    end
    local count = tonumber((old or '0'):match('^%d+') or '0') + 1
    redis.call('HSET', keys[1], args[1], string.format('%.0f %s', count, args[2]))
    return redis.call('HGETALL', keys[1])
end

-- keys: frames, frames before, buckets... args: frame, seconds that frames are kept, and buckets,
-- then a bucket each: lines that are lost, "field count field count ...". -> 1: counted; 0: the frame
-- was counted before, or is empty, and only what is lost was added.
local function drain(keys, args)
    local frame, count = args[1], #keys - 2
    local good = count >= 0 and count <= BUCKETS_MAX and #args == 3 + 2 * count
        and (frame == '' or is_number(frame)) and is_number(args[2]) and is_number(args[3])
    for i = 1, good and count or 0 do
        good = good and is_number(args[2 + 2 * i])
    end
    if not good then
        return wrong('dyn_drain frames frames_before [bucket]... frame kept kept [lost counts]...')
    end
    local new = frame ~= '' and redis.call('SISMEMBER', keys[1], frame) == 0
        and redis.call('SISMEMBER', keys[2], frame) == 0
    for i = 1, count do
        local bucket, lost = keys[2 + i], args[2 + 2 * i]
        if lost ~= '0' then
            redis.call('HINCRBY', bucket, 'x', lost)
        end
        for field, number in (new and args[3 + 2 * i] or ''):gmatch('(%l%d*) (%d+)') do
            redis.call('HINCRBY', bucket, field, number)
        end
        redis.call('EXPIRE', bucket, args[3])
    end
    if not new then
        return 0
    end
    redis.call('SADD', keys[1], frame)
    redis.call('EXPIRE', keys[1], args[2])
    return 1
end

-- What leases and a leader of a partition need also runs on a full server: its ticks alone trim the
-- streams.
local function register_on_full(name, callback)
    redis.register_function{function_name = name, callback = callback, flags = {'allow-oom'}}
end

register_on_full('dyn_acquire', acquire)
register_on_full('dyn_renew', renew)
register_on_full('dyn_release', release)
register_on_full('dyn_tick', tick)
register_on_full('dyn_publish', publish)
redis.register_function('dyn_act_begin', act_begin)
redis.register_function('dyn_act_end', act_end)
redis.register_function('dyn_settle', settle)
register_on_full('dyn_beat', beat)
redis.register_function('dyn_drain', drain)
