#!/usr/bin/env bash
# Every level, each with its time. A level that this machine cannot run says so loudly; with PEGBOX_REQUIRE_ALL=1 it
# fails instead. The cluster that the end-to-end level starts is stopped again, whatever happens.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
bin=.venv/bin
failed=()
summary=()

level() {  # level NAME COMMAND...: run it, note its time, go on
  local name=$1 started=$SECONDS
  shift
  echo "== $name"
  if "$@"; then summary+=("passed  $((SECONDS - started)) s  $name"); else
    summary+=("FAILED  $((SECONDS - started)) s  $name")
    failed+=("$name")
  fi
}

end_to_end() {
  local standing=no code
  "$python" -m dev.cluster status >/dev/null 2>&1 && standing=yes # a cluster that was up before stays up
  "$python" -m dev.cluster up || return 1
  "$bin/python" -m pytest -q tests/e2e
  code=$?
  [[ $standing == yes ]] || "$python" -m dev.cluster down || code=1
  return $code
}

level "check" make --no-print-directory check
level "tools: control plane, Prometheus, Helm" "$python" -m dev.cluster build control
level "golden and simulated: chart, PromQL, learning" "$bin/python" -m pytest -q tests/golden tests/sim
level "integration: real PostgreSQL, Redis, Prometheus" "$bin/python" -m pytest -q tests/integration
level "contract: the real API server" "$bin/python" -m pytest -q tests/contract
level "end to end: the real cluster" end_to_end

echo
printf '%s\n' "${summary[@]}"
if ((${#failed[@]})); then
  echo "failed: ${failed[*]}"
  exit 1
fi
