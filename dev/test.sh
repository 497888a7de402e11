#!/usr/bin/env bash
# Every level, each with its time. A level that this machine cannot run says so loudly; with PEGBOX_REQUIRE_ALL=1 it
# fails instead. The cluster that the end-to-end level starts is stopped again, whatever happens.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
bin=.venv/bin
failed=()
summary=()

tools() {
  # What the levels below need; the end-to-end level builds the rest. Cached outside the repository.
  "$python" -m dev.cluster build control && "$python" -m dev.cluster tool prometheus && "$python" -m dev.cluster tool helm &&
    "$python" -m dev.cluster tool helm3
}

level() {  # level NAME COMMAND...: run it, note its time, go on
  local name=$1 started=$SECONDS
  shift
  echo "== $name"
  if "$@"; then summary+=("passed  $((SECONDS - started)) s  $name"); else
    summary+=("FAILED  $((SECONDS - started)) s  $name")
    failed+=("$name")
  fi
}

integration() {
  # Real PostgreSQL and Redis on loopback, started by the tests themselves; nothing is left running as a service.
  if ! { command -v redis-server && ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1; then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
      echo "installing postgresql and redis-server (apt-get)"
      { apt-get -qq update && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends postgresql redis-server; } >/dev/null 2>&1
    fi
  fi
  "$bin/python" -m pytest -q tests/integration
}

on_a_cluster() { # on_a_cluster TESTS...: with pytest, on the real cluster
  local standing=no code
  "$python" -m dev.cluster status >/dev/null 2>&1 && standing=yes # a cluster that was up before stays up
  "$python" -m dev.cluster up || return 1
  "$bin/python" -m pytest -q "$@"
  code=$?
  [[ $standing == yes ]] || "$python" -m dev.cluster down || code=1
  return $code
}

if [[ ${1:-} == e2e ]]; then # that level alone, or what is named of it
  shift
  on_a_cluster "${@:-tests/e2e}"
  exit
fi

level "check" make --no-print-directory check
level "tools: etcd, API server, Prometheus, Helm 3 and 4" tools
level "loop on fakes, property, adversarial, chaos, golden, simulated" \
  "$bin/python" -m pytest -q -n auto tests/loop tests/property tests/adversarial tests/chaos tests/golden tests/sim
level "integration: real PostgreSQL, Redis, Prometheus" integration
# Two at once, whatever the machine: each has an API server of its own, and halves that stay whole files for the most part.
level "contract: the real API server" "$bin/python" -m pytest -q -n 2 --dist worksteal tests/contract
level "end to end: the real cluster" on_a_cluster tests/e2e

echo
printf '%s\n' "${summary[@]}"
if ((${#failed[@]})); then
  echo "failed: ${failed[*]}"
  exit 1
fi
