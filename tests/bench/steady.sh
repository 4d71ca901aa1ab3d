#!/usr/bin/env bash
# What a fleet at rest costs on Redis: commands and bytes a second, by command, with two of each service.
#
#   tests/bench/steady.sh [BUILD [APPS [SECONDS]]]     release build, 100 apps, 60 s
#
# Each app has one process type and one input of 60 s; demand is a sine of an hour.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build/release} apps=${2:-100} seconds=${3:-60}
work=$(mktemp -d "${TMPDIR:-/tmp}/dynosaur-steady.XXXXXX")
pids=()
cleanup() {
    for pid in "${pids[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

redis() {
    redis-cli -s "$work/redis.sock" "$@"
}

redis-server --port 0 --unixsocket "$work/redis.sock" --save '' --dir "$work" >"$work/redis.log" &
pids+=($!)
{
    printf '{"accounts": [{"email": "ops@example.com", "key": "heroku-secret"}], "apps": ['
    for ((i = 1; i <= apps; i++)); do
        ((i == 1)) || printf ','
        printf '{"name": "shop-%d", "owner": "ops@example.com", "formation": {"web": 1}}' "$i"
    done
    printf ']}'
} >"$work/heroku.json"
mkfifo "$work/fake.out"
"$build/tests/fake-heroku" --state "$work/heroku.json" --boot-seconds 0 --die-with-parent >"$work/fake.out" &
pids+=($!)
read -r line <"$work/fake.out"
port=${line#*port=}
{
    cat <<YAML
version: 2
redis: {url: "unix://$work/redis.sock"}
heroku_api_url: http://127.0.0.1:${port%% *}
accounts: {main: {heroku_api_key: "\${HEROKU_KEY}"}}
apps:
YAML
    for ((i = 1; i <= apps; i++)); do
        cat <<YAML
  shop-$i:
    controller_plugins:
      - {name: web, type: dynos, input_plugins: [{name: wave, type: sine, period: 3600}]}
YAML
    done
} >"$work/fleet.yaml"
export HEROKU_KEY=heroku-secret
until [[ -S $work/redis.sock ]]; do sleep 0.1; done
"$build/deploy/dynosaur" setup "$work/fleet.yaml" >/dev/null
for service in collector estimator actuator reporter; do
    for copy in 1 2; do
        "$build/services/dynosaur-$service" --config "$work/fleet.yaml" --http off --instance "$service-$copy" \
            --die-with-parent >"$work/$service-$copy.log" 2>&1 &
        pids+=($!)
    done
done

# counters: what Redis has counted since its start, a line each.
counters() {
    redis info commandstats | tr -d '\r' | sed -n 's/^cmdstat_\([^:]*\):calls=\([0-9]*\),usec=\([0-9]*\).*/\1 \2 \3/p'
    redis info stats | tr -d '\r' | sed -n 's/^total_net_\(input\|output\)_bytes:\(.*\)/bytes_\1 \2 0/p'
}

processor() {
    local pid total=0 ticks
    for pid in "$@"; do
        ticks=$(awk '{print $14 + $15}' "/proc/$pid/stat")
        total=$((total + ticks))
    done
    echo "$total"
}

sleep 70 # members have settled, and every input was read
counters >"$work/before"
redis_before=$(processor "${pids[0]}") services_before=$(processor "${pids[@]:2}")
sleep "$seconds"
counters >"$work/after"
redis_after=$(processor "${pids[0]}") services_after=$(processor "${pids[@]:2}")

echo "$apps apps, two of each service, $seconds s at rest"
awk -v seconds="$seconds" '
    NR == FNR { calls[$1] = $2; usec[$1] = $3; next }
    { n = ($2 - calls[$1]) / seconds }
    $1 ~ /^bytes/ { printf "%-28s %10.0f a second\n", $1, n; next }
    n > 0.05 { printf "%-28s %10.1f a second, %8.1f us each\n", $1, n, ($3 - usec[$1]) / ($2 - calls[$1] + 0.001) }
' "$work/before" "$work/after" | sort -k2,2nr
share() {
    awk -v ticks="$1" -v seconds="$seconds" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f%%", 100 * ticks / hz / seconds }'
}
echo "processor: Redis $(share $((redis_after - redis_before))) of a core, all services together" \
    "$(share $((services_after - services_before)))"
echo "memory of Redis: $(redis info memory | tr -d '\r' | sed -n 's/^used_memory://p') bytes"
