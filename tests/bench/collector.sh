#!/bin/sh
# Readings a second of the collector's path, beside http_start() alone and a bare curl multi loop,
# against a local nginx, in one run and by turns.
#
#   tests/bench/collector.sh [BUILD [READINGS [IN_FLIGHT [ROUNDS]]]]
set -eu
build=${1:-build/release}
readings=${2:-100000}
in_flight=${3:-64}
rounds=${4:-3}
dir=$(mktemp -d)
port=$(( 20000 + $$ % 20000 ))
mkdir "$dir/www"
printf '{"app": "shop", "value": 41.5}\n' >"$dir/www/value.json"
cat >"$dir/nginx.conf" <<CONF
daemon off;
worker_processes 1;
pid $dir/pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path $dir/a;
  proxy_temp_path $dir/b;
  fastcgi_temp_path $dir/c;
  uwsgi_temp_path $dir/d;
  scgi_temp_path $dir/e;
  server {
    listen 127.0.0.1:$port;
    root $dir/www;
    open_file_cache max=10;
  }
}
CONF
chmod 755 "$dir" "$dir/www"
nginx -c "$dir/nginx.conf" -p "$dir" -e stderr &
server=$!
trap 'kill "$server"; wait "$server" || true; rm -rf "$dir"' EXIT
url="http://127.0.0.1:$port/value.json"
for _ in 1 2 3 4 5 6 7 8 9 10; do
  curl -sf -o "$dir/answer" "$url" && break
  sleep 0.2
done
round=0
while [ "$round" -lt "$rounds" ]; do
  "$build/tests/bench_http" "$url" "$readings" "$in_flight"
  "$build/tests/bench_collector" "$url" "$readings" "$in_flight"
  round=$((round + 1))
done
