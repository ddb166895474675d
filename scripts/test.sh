#!/bin/sh
# Runs the test suites: sets up what they need, then says how long each took.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/images/shell.sh"

# For two cores: what computes has one more than those, what waits for containers more than half of the time has two
workers=${TEST_WORKERS:-3}
waiting_workers=${TEST_WORKERS:-4}
suite=''
failed=''
timings=''

usage() {
  cat <<'USAGE'
usage: scripts/test.sh core | all | pythons | slow | swarm | vm | vm-engine | --help

  core     the tests that need no Docker engine, on the default Python
  all      core, then those on the real engine
  pythons  core on every other supported Python found
  slow     the tests marked slow, those on a Swarm and in the guest machine with them
  swarm    the tests on a Swarm alone
  vm       the tests in the guest machine alone (scripts/vm.sh)
  vm-engine  TESTS (tests/engine), inside the guest machine on its own engine; hours for all of them

Makes .venv-dev (and .venv-3.X for each further Python); all, slow, vm and vm-engine also make sure of
the engine (scripts/engine.sh) and the images (scripts/images.sh --test). STACKCTL_TEST_ENGINE=none
leaves out what needs an engine, and says how many were not run. TEST_WORKERS=N: processes at once
(3, and 4 on the engine).
slow and swarm make a Swarm of three nodes for tests/swarm (scripts/cluster.sh, root), and say where they
cannot; STACKCTL_TEST_SWARM=apart leaves it to swarm.
STACKCTL_TEST_VM=none leaves the guest machine out of slow, STACKCTL_TEST_FAULTS=none the crash matrix, the
other slow tests of tests/faults and the soak; both say so. STACKCTL_TEST_POINTS=states kills the
commands of the crash matrix once in each state, by turns alone and with their group, and not in both ways.
TEST_PYTHONS names the versions of pythons. STACKCTL_TEST_ROOTS=FOLDER also installs on bare
roots of Debian 12 and 13 that it makes there (root, mmdebstrap); without it slow says that it did not.
USAGE
}

wants_engine() {
  [ "$suite" != core ] && [ "$suite" != pythons ] && [ "${STACKCTL_TEST_ENGINE:-}" != none ]
}

set_up() {
  if wants_engine; then
    timed 'engine' scripts/engine.sh || exit 1
    timed 'images' scripts/images.sh --test || exit 1
  fi
  timed 'environment .venv-dev' scripts/venv.sh --editable .venv-dev dev || exit 1
}

# timed NAME COMMAND...: runs it, and keeps its time and result for the closing table
timed() {
  name=$1
  shift
  say "$name"
  before=$(date +%s)
  status=0
  "$@" || status=$?
  result=passed
  [ "$status" -eq 0 ] || result="failed (exit code $status)"
  timings="$timings$(printf '%5ds  %-46s %s' "$(($(date +%s) - before))" "$name" "$result")
"
  if [ "$status" -ne 0 ]; then
    failed=yes
  fi
  return "$status"
}

# pytest NAME PYTHON ARGUMENT...: files stay together, since their tests share what is dear to make
pytest() {
  name=$1
  python=$2
  shift 2
  timed "$name" "$python" -m pytest -n "$workers" --dist loadfile --no-loadscope-reorder \
    --durations 10 "$@" </dev/null || :
}

# Nothing dear is shared here
core() {
  python=$1
  shift
  pytest "core, Python $(version_of "$python")" "$python" -m 'not slow and not engine' \
    --dist worksteal "$@"
}

version_of() {
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'
}

engine() {
  if wants_engine; then
    workers=$waiting_workers
    pytest 'on the real engine' .venv-dev/bin/python -m 'engine and not slow'
  else
    timed 'not run: the tests on the real engine' .venv-dev/bin/python -m pytest -q -m 'engine and not slow' --collect-only || :
  fi
}

# What depends on the Python is in these two; the rest drives commands and shell
other_pythons() {
  used=$(version_of .venv-dev/bin/python)
  found=$(scripts/pythons.sh)
  for version in ${TEST_PYTHONS:-3.10 3.11 3.12 3.13}; do
    path=$(printf '%s\n' "$found" | sed -n "s/^$version //p")
    if [ "$version" = "$used" ]; then
      continue
    elif [ -z "$path" ]; then
      say "Python $version was not found here: core was not run on it"
      timings="$timings    -  $(printf '%-46s' "core, Python $version") not found here
"
    elif timed "environment .venv-$version" scripts/venv.sh --python "$path" --editable ".venv-$version" test; then
      # a folder of its own for temporary files: another session of pytest would close it to other users
      apart=$(mktemp -d)
      chmod 755 "$apart"
      PYTEST_DEBUG_TEMPROOT=$apart
      export PYTEST_DEBUG_TEMPROOT
      core ".venv-$version/bin/python" tests/core tests/state
      unset PYTEST_DEBUG_TEMPROOT
      rm -rf "$apart"
    fi
  done
}

# program NAME PACKAGE: a program that tests run. The package systemd without its init changes nothing that runs
program() {
  command -v "$1" >/dev/null && return 0
  wanted=$1
  shift
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    timed "$wanted" apt-get install -y -qq --no-install-recommends "$@" </dev/null || :
  else
    say "there is no $wanted here, and only root can install it: its tests will fail"
  fi
}

# systemd-analyze reads the supervisor's unit, bmake the fragment for make, zsh and fish complete, the
# installer has to do in every shell what it does in one, Podman is one more engine (with what it makes networks
# and init processes of), sshd is the way to a remote one
programs() {
  program systemd-analyze systemd
  program bmake bmake
  program zsh zsh
  program fish fish
  program busybox busybox
  program mksh mksh
  program ksh93 ksh93u+m
  program yash yash
  program podman podman netavark aardvark-dns catatonit
  # where a service manager runs, the package would open a port of this machine
  if [ "$suite" = slow ] && [ ! -d /run/systemd/system ]; then
    program sshd openssh-server
  fi
}

# pytest calls it a failure when it finds nothing to run
slow() {
  status=0
  workers=$waiting_workers
  .venv-dev/bin/python -m pytest -q -m slow --collect-only >/dev/null 2>&1 || status=$?
  if [ "$status" -eq 5 ]; then
    say 'there are no slow tests'
  elif [ "${STACKCTL_TEST_FAULTS:-}" = none ]; then
    pytest 'slow, without faults and soak' .venv-dev/bin/python -m 'slow and not vm' \
      --ignore tests/faults --ignore tests/soak --ignore tests/swarm
    say 'STACKCTL_TEST_FAULTS=none: the slow tests of tests/faults and tests/soak were NOT run; make test-slow runs them'
  else
    pytest 'slow' .venv-dev/bin/python -m 'slow and not vm' --ignore tests/swarm
  fi
  if [ -z "${STACKCTL_TEST_ROOTS:-}" ]; then
    say 'STACKCTL_TEST_ROOTS is not set: the eight bare roots of Debian by mmdebstrap were NOT run'
  fi
}

swarm_too() {
  if [ "${STACKCTL_TEST_SWARM:-}" = apart ]; then
    say 'STACKCTL_TEST_SWARM=apart: the tests on a Swarm were NOT run here; make test-swarm runs them'
  else
    swarm
  fi
}

# The Swarm is made once, and taken down whatever comes of its tests
swarm() {
  if ! wants_engine; then
    timed 'not run: the tests on a Swarm' .venv-dev/bin/python -m pytest -q -m slow --collect-only tests/swarm || :
  elif ! scripts/cluster.sh check; then
    say 'this machine allows no cluster (see above): the tests on a Swarm were NOT run'
    timings="$timings    -  $(printf '%-46s' 'on a Swarm of three nodes') NOT run: no cluster can be made here
"
  elif timed 'the cluster' scripts/cluster.sh up; then
    timed 'on a Swarm of three nodes' .venv-dev/bin/python -m pytest -m slow --durations 10 tests/swarm </dev/null || :
    timed 'the cluster is removed' scripts/cluster.sh down || :
  fi
}

# One guest serves them all, and says on the way how it fares
vm() {
  if [ "${STACKCTL_TEST_VM:-}" = none ] || ! wants_engine; then
    timed 'not run: the tests in the guest machine' .venv-dev/bin/python -m pytest -q -m vm --collect-only tests/vm || :
  elif timed 'the disk of the guest machine' scripts/vm.sh; then
    timed 'in the guest machine' .venv-dev/bin/python -m pytest -v -s -m vm --durations 10 tests/vm </dev/null || :
  fi
}

# What docs/engines.md says of the guest's engine comes from here
inside() {
  if timed 'the disk of the guest machine' scripts/vm.sh; then
    # shellcheck disable=SC2086 # names without spaces
    timed 'inside the guest machine' env PYTHONPATH=tests/vm .venv-dev/bin/python -u -m inside ${TESTS:-tests/engine} </dev/null || :
  fi
}

close() {
  printf '\n%s' "$timings"
  [ -z "$failed" ] || fail "some of it failed (see above)" "run one test alone: .venv-dev/bin/python -m pytest -k NAME"
}

main() {
  suite=${1:-}
  cd "$root"
  case $suite in
    core) set_up && core .venv-dev/bin/python ;;
    all) set_up && programs && core .venv-dev/bin/python && engine ;;
    pythons) set_up && other_pythons ;;
    slow) set_up && programs && slow && swarm_too && vm ;;
    swarm) set_up && swarm ;;
    vm) set_up && vm ;;
    vm-engine) set_up && inside ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
  close
}

main "$@"
