#!/usr/bin/env bash
# `dynosaur FILE` as people start it: it scales, explains, restarts what dies, keeps secrets apart,
# and leaves nothing running however it ends.
# usage: run_cli.sh PATH-OF-dynosaur PATH-OF-fake-heroku
set -euo pipefail

dynosaur=$1
fake=$2
work=$(mktemp -d)
pids=()

cleanup() {
    for pid in "${pids[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT

fail() {
    echo "FAILED: $1" >&2
    tail -n 40 "$work/out" >&2 || true
    exit 1
}

# await WORDS COMMAND...: the command comes to succeed within a minute.
await() {
    local what=$1
    shift
    for _ in $(seq 300); do
        if "$@" >"$work/said" 2>&1; then
            echo "ok: $what"
            return 0
        fi
        sleep 0.2
    done
    cat "$work/said" >&2
    fail "$what"
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}

child() {
    pgrep -P "$engine" -f "$1" | head -n 1
}

says() {
    grep -q -- "$1" "$work/out"
}

start() {
    : >"$work/out"
    "$dynosaur" "$work/fleet.yaml" --state "$work/state" "$@" >"$work/out" 2>&1 &
    engine=$!
    pids+=("$engine")
    await "the services run" says 'collector, estimator, actuator and reporter run'
    children=$(pgrep -P "$engine" | tr '\n' ' ')
    # shellcheck disable=SC2206
    pids+=($children)
}

all_gone() {
    for pid in $children; do
        gone "$pid" || return 1
    done
}

quantity() {
    curl -fsS "$control/state" | grep -o '"web":{"quantity":[0-9]*' | grep -o '[0-9]*$'
}

quantity_at_least() {
    [[ $(quantity) -ge $1 ]]
}

mkfifo "$work/fake.out"
"$fake" --state /dev/stdin --boot-seconds 0 --die-with-parent >"$work/fake.out" <<'JSON' &
{"accounts": [{"email": "ops@example.com", "key": "heroku-secret"}],
 "apps": [{"name": "shop", "owner": "ops@example.com", "formation": {"web": 1}}]}
JSON
pids+=($!)
read -r line <"$work/fake.out"
port=${line#*port=}
control=http://127.0.0.1:${line#*control=}

cat >"$work/fleet.yaml" <<YAML
version: 2
heroku_api_url: http://127.0.0.1:${port%% *}
accounts:
  main:
    heroku_api_key: \${TEST_HEROKU_KEY}
defaults: {interval: 1, hysteresis_period: 15, doubt_zero: 0, scale_down_cooldown: 1,
           max_step_down: 100%, min_resource: 1}
apps:
  shop:
    controller_plugins:
      - name: web
        type: dynos
        input_plugins:
          - {name: wave, type: sine, period: 20}
          - name: counted
            type: exec
            command: [cat, $work/counted]
            env: {TOKEN: "\${TEST_SOURCE_TOKEN}"}
            per_resource: 1
YAML
echo 3 >"$work/counted"
export TEST_HEROKU_KEY=heroku-secret TEST_SOURCE_TOKEN=source-secret TEST_OTHER=other-secret TEST_NEXT_KEY=heroku-secret
unset REDIS_URL

start
if "$dynosaur" "$work/fleet.yaml" --state "$work/state" >"$work/second" 2>&1; then
    fail "a second one was not refused"
fi
grep -q "is run already, by process $engine" "$work/second" || fail "$(cat "$work/second")"
echo "ok: a second one is refused"

await "the app is scaled up" quantity_at_least 9
echo 14 >"$work/counted"
await "the second input scales it further" quantity_at_least 14
await "explain tells the inputs" sh -c \
    "'$dynosaur' explain shop/web '$work/fleet.yaml' --state '$work/state' | grep -q 'counted: 14 at '"
"$dynosaur" explain shop "$work/fleet.yaml" --state "$work/state" | tee "$work/explained"
grep -q 'web [0-9]* -> 14' "$work/explained" || fail "explain does not tell the last actions"
"$dynosaur" status "$work/fleet.yaml" --state "$work/state" --all | tee "$work/status"
grep -q '^shop/web: 14 of 14 dynos' "$work/status" || fail "status does not tell how it stands"
"$dynosaur" watch "$work/fleet.yaml" --state "$work/state" --for 1 >"$work/watched"
grep -q "value " "$work/watched" || fail "watch does not show values"
cat "$work/watched"

"$dynosaur" pin shop 5 --for 1h "$work/fleet.yaml" --state "$work/state" --why test
await "a pin lowers it" sh -c \
    "'$dynosaur' status '$work/fleet.yaml' --state '$work/state' --all | grep -q '^shop/web: 5 of 5 dynos'"
"$dynosaur" unpin shop "$work/fleet.yaml" --state "$work/state"
await "the end of the pin raises it again" quantity_at_least 14

"$dynosaur" actions "$work/fleet.yaml" --state "$work/state" | tee "$work/actions"
grep -q ' done    shop/web: [0-9]* -> 5$' "$work/actions" || fail "actions does not tell the fall"
"$dynosaur" events "$work/fleet.yaml" --state "$work/state"

if [[ $EUID -eq 0 ]]; then
    for service in collector estimator actuator reporter; do
        tr '\0' '\n' <"/proc/$(child "dynosaur-$service")/environ" >"$work/environ"
        has=$(grep -c '^TEST_' "$work/environ" || true)
        case $service in
            collector) wanted='TEST_SOURCE_TOKEN=source-secret' ;;
            actuator) wanted='TEST_HEROKU_KEY=heroku-secret' ;;
            *) wanted= ;;
        esac
        [[ $has -eq ${wanted:+1} ]] 2>/dev/null || [[ -z $wanted && $has -eq 0 ]] ||
            fail "$service sees $(grep '^TEST_' "$work/environ")"
        [[ -z $wanted ]] || grep -qx "$wanted" "$work/environ" || fail "$service lacks $wanted"
    done
    echo "ok: each service has its own secrets only"
fi

before=$(child dynosaur-collector)
kill -9 "$before"
another() {
    local now
    now=$(child dynosaur-collector)
    [[ -n $now && $now != "$before" ]]
}
await "a killed service is started again" another

before=$(child dynosaur-actuator)
sed -i 's/max_step_down: 100%/max_step_down: 90%/' "$work/fleet.yaml"
kill -HUP "$engine"
await "SIGHUP makes the services read the file again" says 'service=actuator event=config_reloaded'
[[ $(child dynosaur-actuator) == "$before" ]] || fail "SIGHUP ended the actuator"
sed -i 's/TEST_HEROKU_KEY/TEST_NEXT_KEY/' "$work/fleet.yaml"
kill -HUP "$engine"
another_actuator() {
    local now
    now=$(child dynosaur-actuator)
    [[ -n $now && $now != "$before" ]]
}
await "one that needs other variables is started again" another_actuator
sed -i 's/TEST_NEXT_KEY/TEST_HEROKU_KEY/' "$work/fleet.yaml"

children=$(pgrep -P "$engine" | tr '\n' ' ')
kill -INT "$engine"
status=0
wait "$engine" || status=$?
[[ $status -eq 0 ]] || fail "Ctrl-C ended it with $status"
all_gone || fail "Ctrl-C left processes"
echo "ok: Ctrl-C leaves nothing"

start
kill -9 "$engine"
await "a killed dynosaur leaves nothing" all_gone
wait "$engine" 2>/dev/null || true

redis-server --port 0 --unixsocket "$work/other.sock" --requirepass redis-canary --save '' \
    --dir "$work" --daemonize no >"$work/redis.out" 2>&1 &
pids+=($!)
await "another Redis answers" redis-cli -s "$work/other.sock" -a redis-canary --no-auth-warning ping
start --redis "unix://:redis-canary@$work/other.sock"
await "the services are connected to it" says 'service=reporter event=redis_ready'
for pid in $engine $children; do
    for told in cmdline environ; do
        # Without being root the environment cannot be read at all, which is as good.
        if tr '\0' '\n' <"/proc/$pid/$told" 2>/dev/null | grep -q redis-canary; then
            fail "the password stands in /proc/$pid/$told"
        fi
    done
done
! grep -q redis-canary "$work/out" || fail "the password was printed"
DYNOSAUR_REDIS="unix://:redis-canary@$work/other.sock" "$dynosaur" status "$work/fleet.yaml" \
    >"$work/status" || fail "status does not take \$DYNOSAUR_REDIS"
kill -INT "$engine"
wait "$engine" || fail "Ctrl-C ended it with $?"
echo "ok: the password of a Redis shows nowhere"

if "$dynosaur" setup "$work/fleet.yaml" --state "$work/state" --wait 0 2>"$work/said"; then
    fail "setup without a Redis succeeded"
fi
grep -q 'does it run?' "$work/said" || fail "$(cat "$work/said")"
echo 'apps: [' >"$work/fleet.yaml"
status=0
"$dynosaur" "$work/fleet.yaml" --state "$work/state" >"$work/out" 2>&1 || status=$?
[[ $status -eq 2 ]] || fail "a wrong file ended with $status"
echo "ok: a wrong file is refused with status 2"
