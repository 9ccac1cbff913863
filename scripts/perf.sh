#!/usr/bin/env bash
# What a change does to the broker's speed: runs two commits in turns on this machine and prints the ratios as Markdown.
#
#   scripts/perf.sh OLD NEW [OPTION OF trunkline-bench compare...]
#
# OLD and NEW are commits; NEW may be `.` for the files as they are now. Without options it runs `--quick` (some two
# minutes). Ratios above 1 are for NEW. The load generator is always the one of the files as they are now.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# -lt 2 ]; then
  echo "usage: scripts/perf.sh OLD NEW [OPTION OF trunkline-bench compare...]" >&2
  exit 2
fi
old=$1
new=$2
shift 2
[ $# -gt 0 ] || set -- --quick
work=$PWD/target/perf
mkdir -p "$work"

commit_of() {
  git rev-parse --verify --quiet "$1^{commit}" || { echo "perf.sh: there is no commit $1" >&2 && exit 2; }
}

# Builds the broker of a commit and prints where it is. Built once: a commit does not change.
build_commit() {
  local commit=$1 tree=$work/tree-$1 binary=$work/trunkline-$1
  if [ ! -x "$binary" ]; then
    git worktree remove --force "$tree" 2>/dev/null || true
    git worktree add --quiet --detach "$tree" "$commit"
    cargo build --quiet --release --locked --package trunkline --manifest-path "$tree/Cargo.toml" --target-dir "$work/build" >&2
    cp "$work/build/release/trunkline" "$binary"
    git worktree remove --force "$tree"
  fi
  echo "$binary"
}

old_commit=$(commit_of "$old")
old_binary=$(build_commit "$old_commit")
cargo build --quiet --release --locked --package bench-harness
if [ "$new" = . ]; then
  new_name="new-working-tree"
  cargo build --quiet --release --locked --package trunkline --target-dir "$work/build"
  new_binary=$work/trunkline-working-tree
  cp "$work/build/release/trunkline" "$new_binary"
else
  new_commit=$(commit_of "$new")
  new_name=new-${new_commit:0:9}
  new_binary=$(build_commit "$new_commit")
fi
old_name=old-${old_commit:0:9}

servers=$work/servers.toml
: >"$servers"
for server in "$old_name $old_binary" "$new_name $new_binary"; do
  cat >>"$servers" <<TOML
[${server%% *}]
about = "Trunkline"
protocol = "nats"
command = ['${server#* }', "-a", "127.0.0.1", "-p", "{port}"]
ready = { expect = "INFO ", within = "10s" }

TOML
done

bench=${CARGO_TARGET_DIR:-target}/release/trunkline-bench
result=$work/$old_name-$new_name.json
"$bench" compare --servers "$servers" --first "$new_name" --against "$old_name" --json "$result" "$@" >&2
"$bench" report "$result"
