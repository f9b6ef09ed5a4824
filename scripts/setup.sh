#!/bin/sh
# setup.sh [NAME...]: .venv as requirements.lock has it, this package in it, and on top requirements/NAME.lock for each NAME.
# "bench" gets an environment of its own, .venv-bench: its packages do not agree with ours.
#
# A file .ready is written last and holds a checksum of what the environment was made from; whatever changes an
# environment takes .ready away first. So an interrupted set-up is never taken for a finished one: it is made anew.
set -eu
cd "$(dirname "$0")/.."

say() { echo "set-up: $*" >&2; }
stop() { echo "Set-up stopped: $*" >&2; exit 1; }

# The folder belongs to the key: an environment that was moved or copied points to the old place.
key() { { pwd; cat "$@"; } | cksum; }
stamped() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }
ready() { stamped "$1/.ready" "$(key "$2" scripts/setup.sh)" && "$1/bin/python" -I -c '' 2>/dev/null; }
ready_package() { stamped .venv/.ready-package "$(key pyproject.toml)"; }
ready_extra() { stamped ".venv/.ready-$1" "$(key "requirements/$1.lock")"; }
asked_for() { [ -z "${PYTHON:-}" ] || [ "$(find_python 2>/dev/null)" = "$(.venv/bin/python -I -c "$base")" ]; }
base='import os, sys; print(os.path.realpath(sys._base_executable))'

nothing_to_do() {
    ready .venv requirements.lock && ready_package && asked_for || return 1
    for name in "$@"; do
        case $name in
            bench) ready .venv-bench requirements/bench.lock || return 1 ;;
            *) ready_extra "$name" || return 1 ;;
        esac
    done
}

# One set-up at a time. The lock is a link that names its owner's process: made in one step, stale when that is gone.
lock=.cache/setup.lock
take_lock() {
    mkdir -p .cache
    waited=0
    until ln -s "$$" "$lock" 2>/dev/null; do
        owner=$(readlink "$lock" || true)
        [ -n "$owner" ] || { [ ! -e "$lock" ] || stop "$lock is in the way: remove it."; continue; }
        kill -0 "$owner" 2>/dev/null || { rm -f "$lock"; continue; }
        [ "$waited" -gt 0 ] || say "waiting for another set-up (process $owner)"
        waited=$((waited + 1))
        [ "$waited" -lt 1800 ] || stop "process $owner has held $lock for half an hour: end it or remove $lock."
        sleep 1
    done
    trap 'rm -f "$lock"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

find_python() { sh scripts/find-python.sh; }

any_python() {
    find_python && return 0
    [ -z "${PYTHON:-}" ] || return 1
    say "no CPython 3.12 to 3.14 here; asking uv for one"
    UV_PYTHON_DOWNLOADS=automatic "$uv" python install --install-dir .tools/python 3.13 >&2 && find_python
}

new_environment() { # folder, lock
    python=$(any_python) || {
        [ -z "${PYTHON:-}" ] || exit 1
        stop "there is no CPython 3.12, 3.13 or 3.14 on this machine and none could be fetched: install one of them (for example python3.13), or name it: make PYTHON=/path/to/python3.13"
    }
    say "$1 with $python, from $2"
    rm -f "$1/.ready"
    "$uv" venv --quiet --no-project --clear --python "$python" "$1" || stop "uv could not make $1."
    install "$1" --no-build --require-hashes -r "$2"
    key "$2" scripts/setup.sh >"$1/.ready.part"
    mv "$1/.ready.part" "$1/.ready"
}

install() { # folder, what...
    folder=$1
    shift
    "$uv" pip install --quiet --python "$folder/bin/python" "$@" ||
        stop "the packages could not be installed (the lines above say why): is a package registry within reach?"
}

# Runs an addition to .venv with .ready out of the way.
adding() {
    mv .venv/.ready .venv/.ready.held
    "$@"
    mv .venv/.ready.held .venv/.ready
}

add_package() {
    # The build backend comes out of requirements.lock, so that nothing unhashed is fetched for it.
    install .venv --no-deps --no-build-isolation --editable .
    key pyproject.toml >.venv/.ready-package
}

add_extra() {
    say "and requirements/$1.lock"
    # What comes as source only (PySpark) is built by the setuptools of requirements.lock.
    install .venv --no-build-isolation --require-hashes -r "requirements/$1.lock"
    key "requirements/$1.lock" >".venv/.ready-$1"
}

for name in "$@"; do
    [ -f "requirements/$name.lock" ] || stop "there is no requirements/$name.lock."
done
! nothing_to_do "$@" || exit 0
take_lock
! nothing_to_do "$@" || exit 0 # the other has done it
uv=$(sh scripts/find-uv.sh)
export UV_PYTHON_DOWNLOADS=never
# Certificates of the machine, for networks that bring their own; the second name is the older uv's.
export UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1
# What is set may be meant for another project: every call names its interpreter.
unset UV_SYSTEM_PYTHON UV_PROJECT_ENVIRONMENT
started=$(date +%s)
ready .venv requirements.lock && asked_for || new_environment .venv requirements.lock
ready_package || adding add_package
for name in "$@"; do
    case $name in
        bench) ready .venv-bench requirements/bench.lock || new_environment .venv-bench requirements/bench.lock ;;
        *) ready_extra "$name" || adding add_extra "$name" ;;
    esac
done
say "done in $(($(date +%s) - started)) s"
