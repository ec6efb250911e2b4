# shellcheck shell=bash disable=SC2034 # the variables are for the scripts that source this file
# What the scripts in this folder share. Sourced, never run.
#
# Exit codes everywhere: 0 all well, 1 something failed, 2 wrong usage, 3 not permitted.

set -euo pipefail

scripts=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
project=$(dirname -- "$scripts")
python=/usr/bin/python3 # Debian's, which sees Debian's python3-* packages, whatever else comes first in PATH

say() { printf '%s\n' "$*"; }
complain() { printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2; }
fail() { complain "$*"; exit 1; }
usage_error() { complain "$*"; exit 2; }

# require_root WHY: ends with exit code 3 unless root.
require_root() {
    if ((EUID != 0)); then
        complain "needs root: $1. Run it as root (for example: sudo $0)."
        exit 3
    fi
}

# MARK: Steps and their time

step_times=()
failed_steps=()

seconds_since() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'; }

# step NAME COMMAND...: runs the command in a subshell with errexit, prints its time, and remembers a failure in failed_steps.
# Call it plainly, not in a condition: bash would switch errexit off inside.
step() {
    local name=$1 begin=$EPOCHREALTIME status seconds
    shift
    set +e
    (
        set -e
        "$@"
    )
    status=$?
    set -e
    seconds=$(seconds_since "$begin")
    if ((status == 0)); then
        step_times+=("$(printf '%8s s  %s' "$seconds" "$name")")
        say "step $name: $seconds s"
    else
        step_times+=("$(printf '%8s s  %s (failed)' "$seconds" "$name")")
        failed_steps+=("$name")
        say "step $name: $seconds s, FAILED (status $status)"
    fi
    ((status < 128)) || exit "$status" # interrupted
}

# must NAME COMMAND...: a step without which nothing that follows makes sense.
must() {
    local failures=${#failed_steps[@]}
    step "$@"
    ((${#failed_steps[@]} == failures)) || exit 1
}

step_table() {
    say "Time of each step:"
    if ((${#step_times[@]})); then printf '%s\n' "${step_times[@]}"; fi
}

# MARK: What must be installed

packages_build=(libpcap-dev libssl-dev libsqlite3-dev pkg-config)
packages_lab=(iproute2 nftables ethtool curl wrk nginx-light openssl python3)
packages_test=(python3-pytest python3-websockets tcpdump tshark systemd e2fsprogs)
packages_test+=(python3-cryptography python3-jsonschema python3-yaml openssl chromium) # for the tests of the push service
packages_test+=(valgrind) # for the engine's budgets
packages_bench=(haproxy ethtool gcc libc6-dev libpcap-dev)
packages_profile=(linux-perf util-linux)
packages_engine=(valgrind) # its callgrind counts instructions
packages_apache=(apache2-bin) # the program and its modules, without a service of its own
packages_soak=(gcc libc6-dev python3-websockets python3-cryptography)

is_installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# install_missing PACKAGE...: Debian packages that are not there yet. Their services are neither started nor enabled.
install_missing() {
    local package missing=()
    command -v dpkg-query >/dev/null || fail "this is not Debian: install what corresponds to these packages yourself: $*"
    for package; do is_installed "$package" || missing+=("$package"); done
    ((${#missing[@]})) || return 0
    require_root "these Debian packages are missing: ${missing[*]}"
    say "installing ${missing[*]}"
    (
        export DEBIAN_FRONTEND=noninteractive
        hold_services_back
        trap let_services_go EXIT
        log=$(mktemp)
        if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
            tail -n 30 "$log" >&2
            fail "could not install ${missing[*]} (log: $log)"
        fi
        rm -f -- "$log"
        if command -v systemctl >/dev/null; then
            for package in "${missing[@]}"; do
                case $package in
                nginx-light) systemctl --quiet disable nginx.service 2>/dev/null || true ;;
                haproxy) systemctl --quiet disable haproxy.service 2>/dev/null || true ;;
                esac
            done
        fi
    )
}

# Debian asks /usr/sbin/policy-rc.d whether a package may start its service: 101 is no.
policy=/usr/sbin/policy-rc.d
hold_services_back() {
    let_services_go # what a run that was killed left
    if [[ -e $policy || -L $policy ]]; then mv -- "$policy" "$policy.before-sluice"; fi
    printf '#!/bin/sh\n# made by a sluice script, which removes it\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}
let_services_go() {
    if grep -qs 'made by a sluice script' "$policy"; then rm -f -- "$policy"; fi
    if [[ -e $policy.before-sluice || -L $policy.before-sluice ]]; then mv -- "$policy.before-sluice" "$policy"; fi
}

require_swift() {
    local version hint="Get it from https://www.swift.org/install/linux/ and put its usr/bin into PATH (which sudo may reset)."
    command -v swift >/dev/null || fail "Swift 6.3 or later is needed, and there is no swift in PATH. $hint"
    version=$(swift --version 2>/dev/null | grep -oE 'Swift version [0-9]+\.[0-9]+' | grep -oE '[0-9]+\.[0-9]+' | head -n 1) || true
    if ! awk -v version="${version:-0.0}" 'BEGIN { split(version, v, "."); exit !(v[1] > 6 || (v[1] == 6 && v[2] >= 3)) }'; then
        fail "Swift 6.3 or later is needed, and the swift in PATH is ${version:-of unknown version}. $hint"
    fi
}

# MARK: The one build, for the demo, the tests and the benchmarks

build_flags=(-c release -Xswiftc -enable-testing)

# A path outside .build is chosen by SWIFTPM_BUILD_DIR, which SwiftPM itself reads.
scratch=${SWIFTPM_BUILD_DIR:-$project/.build}
build_log=$scratch/sluice-build.log

run_logged() { # run_logged COMMAND...: all output into the build log, every hundredth line to the terminal as a sign of life
    "$@" </dev/null 2>&1 | tee -a "$build_log" | awk 'NR % 100 == 0 { print "  " $0; fflush() }'
}
fetch_dependencies() {
    cd -- "$project"
    mkdir -p -- "$scratch"
    : >"$build_log"
    run_logged swift package resolve || show_build_failure
}
compile() {
    cd -- "$project"
    run_logged swift build "${build_flags[@]}" --build-tests || show_build_failure
    own_warnings
}
show_build_failure() {
    say "expected: the package builds; got:"
    grep -aE '(^|[^a-z])error:' -- "$build_log" | sort -u | head -n 40 || true
    say "the end of $build_log:"
    tail -n 15 -- "$build_log"
    exit 1
}
# own_warnings: prints the warnings that the last build gave for our own sources.
own_warnings() { grep -aE "^$project/(Sources|Tests)/[^:]*:[0-9]+:[0-9]+: warning:" -- "$build_log" | sort -u || true; }

# SLUICE_BINARIES names a directory with binaries that were built elsewhere: nothing is built then.
build() {
    if [[ -n ${SLUICE_BINARIES:-} ]]; then
        say "using the binaries in $SLUICE_BINARIES"
        return 0
    fi
    require_swift
    must "install what the build needs" install_missing "${packages_build[@]}"
    must "fetch dependencies" fetch_dependencies
    must "build" compile
}
binaries() {
    if [[ -n ${SLUICE_BINARIES:-} ]]; then
        realpath -- "$SLUICE_BINARIES"
    else
        (cd -- "$project" && swift build "${build_flags[@]}" --show-bin-path)
    fi
}

# MARK: One user of the lab at a time

lab_holder_file=/run/sluice-lab.run

# hold_lab: the lab is ours until this script ends; waits for another demo, test or benchmark to end first.
hold_lab() {
    [[ -z ${SLUICE_LAB_HELD:-} ]] || return 0
    exec {lab_hold}<>"$lab_holder_file"
    if ! flock --nonblock "$lab_hold"; then
        say "the lab is in use by $(lab_holder): waiting for it, at most 15 minutes"
        flock --wait 900 "$lab_hold" || fail "the lab is still in use by $(lab_holder)"
    fi
    printf '%s (process %s)\n' "$(realpath -- "$0")" "$$" >"$lab_holder_file"
    export SLUICE_LAB_HELD=$$
}
lab_holder() { head -n 1 -- "$lab_holder_file" 2>/dev/null || true; }

# spawn HOST LOG COMMAND...: a process in that host's namespace that outlives this script until `lab down`; its output goes into LOG.
spawn() {
    local host=$1 log=$2
    shift 2
    if [[ -n ${lab_hold:-} ]]; then
        setsid ip netns exec "sluice-$host" "$@" </dev/null >>"$log" 2>&1 {lab_hold}>&- &
    else
        setsid ip netns exec "sluice-$host" "$@" </dev/null >>"$log" 2>&1 &
    fi
    spawned=$!
}
in_host() { # in_host HOST COMMAND...
    local host=$1
    shift
    ip netns exec "sluice-$host" "$@"
}
