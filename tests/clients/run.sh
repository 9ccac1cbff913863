#!/usr/bin/env bash
# The official clients (Python, JavaScript, C, Rust) against a server binary: sets up what is missing, then runs the four
# suites beside this script. Set-up takes a minute or two the first time and next to nothing afterwards.
#
#   tests/clients/run.sh [--only python,node,c,rust] [--set-up-only] SERVER_BINARY [server flags...]
#
# e.g. tests/clients/run.sh target/release/trunkline --shards 2, or tests/clients/run.sh nats-server.
# Exits 1 if any behaviour failed; the last line is the total.
set -euo pipefail
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 NPM_CONFIG_UPDATE_NOTIFIER=false NPM_CONFIG_FUND=false \
  NPM_CONFIG_AUDIT=false

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
built=$root/target/clients
suite_seconds_max=300

stop() {
  echo "clients: $*" >&2
  exit 2
}

usage="usage: tests/clients/run.sh [--only python,node,c,rust] [--set-up-only] SERVER_BINARY [server flags...]"
languages=(python node c rust)
set_up_only=false
while [ $# -gt 0 ]; do
  case $1 in
    --only)
      [ $# -ge 2 ] || stop "$usage"
      IFS=, read -r -a languages <<<"$2"
      shift 2
      ;;
    --set-up-only) set_up_only=true && shift ;;
    -*) stop "$usage" ;;
    *) break ;;
  esac
done

# Whether a set-up made of these files is still the one there; `stamp_of` is what is written when it is done.
stamp_of() { cat "$@" | sha256sum | cut -d ' ' -f 1; }

set_up_python() {
  local stamp
  stamp=$(stamp_of "$here/requirements.txt")
  if [ "$(cat "$here/.venv/installed" 2>/dev/null)" != "$stamp" ] || ! "$here/.venv/bin/python" -c 'import nats'; then
    python3 -c 'import venv, ensurepip' 2>/dev/null || "$root/scripts/debian-packages" python3 python3-venv
    rm -rf "$here/.venv"
    python3 -m venv "$here/.venv"
    "$here/.venv/bin/python" -m pip install --quiet --requirement "$here/requirements.txt"
    echo "$stamp" >"$here/.venv/installed"
  fi
}

set_up_node() {
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    "$root/scripts/debian-packages" nodejs npm
  fi
  local stamp
  stamp=$(stamp_of "$here/node/package.json" "$here/node/package-lock.json")
  if [ "$(cat "$here/node/node_modules/.installed" 2>/dev/null)" != "$stamp" ]; then
    (cd "$here/node" && npm ci --silent --ignore-scripts)
    echo "$stamp" >"$here/node/node_modules/.installed"
  fi
}

set_up_c() {
  if ! echo '#include <nats/nats.h>' | cc -E - >/dev/null 2>&1; then
    "$root/scripts/debian-packages" libnats-dev
  fi
  mkdir -p "$built"
  if [ ! "$built/suite-c" -nt "$here/c/suite.c" ]; then
    cc -std=c11 -Wall -Wextra -O1 -o "$built/suite-c" "$here/c/suite.c" -lnats -pthread
  fi
}

set_up_rust() {
  cargo build --quiet --locked --manifest-path "$here/rust/Cargo.toml" --target-dir "$built/rust"
}

# Sets `suite` to the program of a language and its arguments.
suite_of() {
  case $1 in
    python) suite=("$here/.venv/bin/python" "$here/python/suite.py") ;;
    node)
      suite=(node)
      # The client needs the global `crypto`, which Node has by default since 19 (Debian 12 has 18).
      [ "$(node --print 'typeof globalThis.crypto')" = object ] || suite+=(--experimental-global-webcrypto)
      suite+=("$here/node/suite.js")
      ;;
    c) suite=("$built/suite-c") ;;
    rust) suite=("$built/rust/debug/trunkline-client-rust") ;;
  esac
}

for language in "${languages[@]}"; do
  [ "$(type -t "set_up_$language")" = function ] || stop "no suite \`$language\`; $usage"
  "set_up_$language"
done
if $set_up_only; then
  exit 0
fi

[ $# -ge 1 ] || stop "$usage"
server=$(command -v "$1") || stop "no program $1"
shift
# The suites run wherever they like.
server=$(realpath --no-symlinks "$server")

output=$(mktemp)
settings=$(mktemp)
trap 'rm -f "$output" "$settings"' EXIT

# How this server is told to leave soon after a signal. nats-server has no flags for that, and takes no duration under
# 30 s from its configuration file, but closes at least one connection a second.
if [ "$(basename "$server")" = nats-server ]; then
  printf 'lame_duck_duration: "30s"\nlame_duck_grace_period: "300ms"\n' >"$settings"
  export LAME_DUCK_FLAGS="-c $settings"
else
  export LAME_DUCK_FLAGS="--lame_duck_duration 30s --lame_duck_grace_period 300ms"
fi
passed=0
failed=0
for language in "${languages[@]}"; do
  status=0
  suite_of "$language"
  # A suite limits each of its behaviours; this limit is for a suite that hangs itself, and ends its servers with it.
  timeout --kill-after=5 "$suite_seconds_max" "${suite[@]}" "$server" "$@" 2>&1 | tee "$output" || status=$?
  total=$(grep -E "^$language: [0-9]+ passed, [0-9]+ failed\$" "$output" | tail -n 1 || true)
  if [[ $total =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
  fi
  if [ -z "$total" ] || { [ "$status" -ne 0 ] && [ "${BASH_REMATCH[2]}" = 0 ]; }; then
    echo "FAIL $language: the suite ended with status $status and without a total that explains it"
    failed=$((failed + 1))
  fi
done
echo "clients: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
