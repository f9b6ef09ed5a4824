#!/bin/sh
# Prints the path of a uv of 0.8 or later: the user's own, else the one in .tools, put there by any Python's pip.
set -eu
cd "$(dirname "$0")/.."

recent() {
    "$1" --version 2>/dev/null </dev/null |
        awk '{ split($2, v, "."); fits = v[1] > 0 || v[2] >= 8 } END { exit !fits }'
}

answer() {
    if recent "$1"; then
        printf '%s\n' "$1"
        exit 0
    fi
}

has_pip() { "$1" -m pip --version >/dev/null 2>&1 </dev/null; }

with_pip() {
    [ -x "$1" ] && [ ! -d "$1" ] && has_pip "$1" || return 0
    echo "set-up: uv, by the pip of $1" >&2
    rm -rf .tools/bin .tools/uv .tools/uv-*
    PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 \
        "$1" -m pip install --quiet --no-deps --require-hashes --only-binary :all: --upgrade \
        --target .tools -r requirements/uv.lock >&2 </dev/null || return 0
    answer "$PWD/.tools/bin/uv"
}

[ -z "${UV:-}" ] || answer "$UV"
! own=$(command -v uv 2>/dev/null) || answer "$own"
for path in "${HOME:-}/.local/bin/uv" "${HOME:-}/.cargo/bin/uv" /opt/homebrew/bin/uv "$PWD/.tools/bin/uv"; do
    answer "$path"
done

[ -z "${PYTHON:-}" ] || with_pip "$(command -v -- "$PYTHON" || echo "$PYTHON")"
[ -z "${VIRTUAL_ENV:-}" ] || with_pip "$VIRTUAL_ENV/bin/python"
old_ifs=$IFS
for name in python3 python python3.13 python3.12 python3.14 python3.11 python3.10 python3.9; do
    IFS=:
    set -f
    for folder in $PATH; do IFS=$old_ifs; with_pip "${folder:-.}/$name"; done
    set +f
    IFS=$old_ifs
done
for path in "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.*/bin/python; do with_pip "$path"; done

echo "Set-up needs uv, or a Python with pip to fetch it, and found neither to work: install one of them (for example your system's python3-pip) and run make again." >&2
exit 1
