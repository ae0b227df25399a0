# Servers to measure, on loopback: sourced by run-comparison and run-growth, which set `port` first. Needs redis-server, PostgreSQL's server
# programs and openssl. Ports from `port` on: Redis, Postgres; gateways from +11, their internal APIs from +21, health from +31.

loadtest=${LOADTEST:-target/release/loadtest}
postern=${POSTERN:-target/release/postern}
redis=redis://127.0.0.1:$port
export POSTERN_JWT_HS256_SECRET=0123456789abcdef0123456789abcdef POSTERN_INTERNAL_TOKEN=abcdefghijklmnopqrstuvwxyz012345
ulimit -S -n "$(ulimit -H -n)" 2>/dev/null || true
work=$(mktemp -d)
servers=() processes=()
counters=(--counter "redis_commands=redis-cli -p $port info stats | tr -d '\r' | sed -n 's/^total_commands_processed://p'")

# addresses OFFSET NODES: addresses of so many nodes, separated by commas.
addresses() {
  local node list=
  for ((node = 1; node <= $2; node++)); do list+=,127.0.0.1:$((port + $1 + node)); done
  echo "${list#,}"
}

# PostgreSQL refuses to run as root.
as_postgres() { if ((EUID == 0)); then (cd / && exec runuser -u postgres -- "$@"); else "$@"; fi; }

# Shell command that stops Postgres, and starts no other.
stop_postgres_command() {
  local as=
  ((EUID != 0)) || as='runuser -u postgres -- '
  echo "cd / && $as$pg/pg_ctl -D $work/postgres -m fast stop >/dev/null"
}

stop_servers() {
  ((${#servers[@]} == 0)) || kill "${servers[@]}" 2>/dev/null || true
  wait "${servers[@]}" 2>/dev/null || true
  servers=() processes=()
}

stop_all() {
  stop_servers
  [[ ! -s $work/postgres/postmaster.pid ]] || as_postgres "$pg/pg_ctl" -D "$work/postgres" -m fast stop >/dev/null || true
  [[ ! -s $work/redis.pid ]] || kill "$(<"$work/redis.pid")" || true
  rm -rf "$work"
}
trap stop_all EXIT

# start ROLE COMMAND...: starts a server and has it sampled in this role.
start() {
  local role=$1
  shift
  "$@" >>"$work/servers.log" 2>&1 &
  servers+=($!) processes+=(--process "$role=$!")
}

# Waits until a port answers.
until_open() {
  local tries=0
  until (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
    ((++tries < 300)) || { echo "port $1 does not open:" >&2 && tail -n 20 "$work/servers.log" >&2 && exit 1; }
    sleep 0.1
  done
}

# Waits until so many nodes accept connections.
until_nodes_are_open() {
  local node
  for ((node = 1; node <= $1; node++)); do until_open $((port + 10 + node)) && until_open $((port + 20 + node)); done
}

make_certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/key.pem" -out "$work/cert.pem" -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=CA:FALSE 2>/dev/null
}

start_redis() {
  redis-server --port "$port" --bind 127.0.0.1 --save '' --daemonize yes --pidfile "$work/redis.pid" --dir "$work" >/dev/null
  until_open "$port"
}

# Starts Postgres, unless it runs; its first start makes the database.
start_postgres() {
  pg=${PG_BIN:-$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -n 1)}
  local is_new=
  if [[ ! -d $work/postgres ]]; then
    is_new=true
    mkdir "$work/postgres"
    ((EUID != 0)) || { chmod 711 "$work" && chown postgres "$work/postgres"; }
    as_postgres "$pg/initdb" -D "$work/postgres" -A trust -U postgres >/dev/null
  fi
  [[ -s $work/postgres/postmaster.pid ]] || as_postgres "$pg/pg_ctl" -D "$work/postgres" -w -l "$work/postgres/log" \
    -o "-p $((port + 1)) -k /tmp -c listen_addresses=127.0.0.1" start >/dev/null
  [[ -z $is_new ]] || as_postgres "$pg/createdb" -h 127.0.0.1 -p $((port + 1)) -U postgres postern
}

# start_postern NODES: a worker and so many gateways.
start_postern() {
  export POSTERN_REDIS_URL=$redis POSTERN_DATABASE_URL=postgres://postgres@127.0.0.1:$((port + 1))/postern POSTERN_LOG=warn
  export POSTERN_VAULT_KEYS=1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY= POSTERN_TLS_CERT=$work/cert.pem POSTERN_TLS_KEY=$work/key.pem
  start_postgres
  "$postern" migrate >>"$work/servers.log" 2>&1
  POSTERN_HEALTH_LISTEN=127.0.0.1:$((port + 40)) start worker "$postern" worker
  local node
  for ((node = 1; node <= $1; node++)); do
    POSTERN_LISTEN=127.0.0.1:$((port + 10 + node)) POSTERN_INTERNAL_LISTEN=127.0.0.1:$((port + 20 + node)) \
      POSTERN_HEALTH_LISTEN=127.0.0.1:$((port + 30 + node)) POSTERN_CONNECT_RATE=off start gateway "$postern" gateway
  done
  processes+=(--process "postgres=$(head -n 1 "$work/postgres/postmaster.pid")")
  until_open $((port + 40))
}

# Counter of Postgres' WAL, while it runs.
wal_counter() {
  counters+=(--counter "wal_bytes=$pg/psql -h 127.0.0.1 -p $((port + 1)) -U postgres -Atc 'select wal_bytes from pg_stat_wal'")
}
