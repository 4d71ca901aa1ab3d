#!/usr/bin/env bash
# The official Heroku CLI against the fake: what it shows and changes is what a human would see.
# usage: heroku_cli.sh PATH-OF-fake-heroku; exit 77 means that the CLI cannot run here.
# With DYN_HEROKU_NODE set, npm brings a newer node when the one there is too old (Debian 12's is).
set -euo pipefail

version=11.10.0
fake=$1
cache=${DYN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dynosaur-tests}

skip() {
    echo "skipped: $1"
    exit 77
}

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    skip "node and npm are not installed"
fi
packages=("heroku@$version")
if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
    [ -n "${DYN_HEROKU_NODE:-}" ] || skip "node $(node --version) is older than 20"
    packages+=("node@20.19.0")
fi

cli=$cache/heroku-$version
heroku=$cli/node_modules/.bin/heroku
if [ ! -x "$heroku" ]; then
    mkdir -p "$cli"
    npm install --prefix "$cli" --no-audit --no-fund --no-save "${packages[@]}" >"$cli/install.log" 2>&1 ||
        skip "npm could not install ${packages[*]}, see $cli/install.log"
fi
PATH=$cli/node_modules/.bin:$PATH

work=$(mktemp -d)
pid=
cleanup() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

cat >"$work/state.json" <<'JSON'
{"accounts": [{"email": "ops@example.com", "key": "not-a-real-key"}],
 "apps": [{"name": "example", "owner": "ops@example.com",
           "formation": {"web": 2, "worker": 1},
           "addons": [{"name": "papertrail-round-1234", "plan": "papertrail:choklad"}]}]}
JSON
mkfifo "$work/out"
"$fake" --state "$work/state.json" --boot-seconds 0 --die-with-parent >"$work/out" &
pid=$!
read -r line <"$work/out"
port=${line#*port=}
port=${port%% *}
control=http://127.0.0.1:${line#*control=}

# A home and a key of its own: neither a real account nor a real host can be reached by mistake.
export HOME=$work HEROKU_HOST=http://127.0.0.1:$port HEROKU_API_KEY=not-a-real-key
export HEROKU_PARTICLEBOARD_URL=$HEROKU_HOST
export DISABLE_TELEMETRY=true HEROKU_SKIP_NEW_VERSION_CHECK=true HEROKU_DISABLE_AUTOUPDATE=1
unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME HEROKU_API_URL HEROKU_HEADERS

# run WORD COMMAND...: the command succeeds and says WORD.
run() {
    local word=$1
    shift
    "$heroku" "$@" >"$work/said" 2>&1 </dev/null || { cat "$work/said" >&2; fail "heroku $*"; }
    grep -q -- "$word" "$work/said" || { cat "$work/said" >&2; fail "heroku $* did not say: $word"; }
    echo "ok: heroku $*"
}

# seen METHOD PATH STATUS: the fake answered the CLI so.
seen() {
    curl -fsS "$control/requests?since=0" | node -e '
        const [method, path, status] = process.argv.slice(1);
        const all = JSON.parse(require("fs").readFileSync(0)).requests;
        process.exit(all.some(r => r.method === method && r.path === path && r.status == status &&
            r.key === "-key" && /^heroku-cli\//.test(r.headers["user-agent"])) ? 0 : 1);
    ' "$@" || fail "the fake did not see $*"
}

run 'now running web at 3:Standard-1X' ps:scale web=3 -a example
seen PATCH /apps/example/formation 200
curl -fsS "$control/state" | grep -q '"web":{"quantity":3,' || fail "web is not at 3 in the fake"
run 'web.3' ps -a example
seen GET /apps/example/dynos 200
run 'web=3:Standard-1X' ps:scale -a example
seen GET /apps/example/formation 200
run 'papertrail-round-1234' addons -a example
seen GET /apps/example/addons 200
run 'worker at 2:Standard-1X' ps:scale worker+1 -a example
run 'ludvig' addons:upgrade papertrail-round-1234 papertrail:ludvig -a example
seen PATCH /apps/example/addons/papertrail-round-1234 200
kill "$pid"
wait "$pid" || fail "the fake did not end cleanly"
pid=
echo "the official CLI and the fake agree"
