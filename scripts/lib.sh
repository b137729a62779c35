# Shared by the scripts: steps that say what they do and how long they took. Sourced, not run.

# step "What happens" command...
step() {
  local what=$1 began=$SECONDS status=0
  shift
  step_number=$((${step_number:-0} + 1))
  printf '\n==> %d. %s\n    $ %s\n' "$step_number" "$what" "$*"
  "$@" || status=$?
  if [ "$status" -ne 0 ]; then
    printf '==> %s: failed with status %d after %d s\n' "$what" "$status" $((SECONDS - began)) >&2
    exit "$status"
  fi
  printf '    (%d s)\n' $((SECONDS - began))
}

# One build job per CPU, but no more than memory allows: the largest sources need over 1 GiB each.
build_jobs() {
  local cpus memory_gib
  cpus=$(nproc)
  memory_gib=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
  local fit=$((memory_gib * 2 / 3))
  if [ "$fit" -lt 1 ]; then fit=1; fi
  echo $((cpus < fit ? cpus : fit))
}
