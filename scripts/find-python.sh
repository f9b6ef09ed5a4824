#!/bin/sh
# Prints the real path of a base interpreter, CPython 3.12 to 3.14; exits 1 where there is none, 2 where PYTHON is unfit.
# Each candidate must answer: a name on PATH proves nothing (pyenv's shims exit 127, a virtual environment may be dead).
set -eu

question='
import ctypes, os, sys, sysconfig, zlib
fits = sys.implementation.name == "cpython" and (3, 12) <= sys.version_info[:2] <= (3, 14)
if not fits or sys.maxsize < 2**32 or sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(1)
print(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
'

try() {
    [ -x "$1" ] && [ ! -d "$1" ] || return 0
    if answer=$("$1" -I -c "$question" 2>/dev/null </dev/null) && [ -x "$answer" ]; then
        printf '%s\n' "$answer"
        exit 0
    fi
}

try_on_path() {
    old_ifs=$IFS
    IFS=:
    set -f
    for folder in $PATH; do try "${folder:-.}/$1"; done
    set +f
    IFS=$old_ifs
}

if [ -n "${PYTHON:-}" ]; then
    given=$(command -v -- "$PYTHON" 2>/dev/null) || given=$PYTHON
    try "$given"
    echo "PYTHON=$PYTHON does not run as CPython 3.12, 3.13 or 3.14 (the usual build, 64 bits): name another or leave PYTHON out." >&2
    exit 2
fi

[ -z "${VIRTUAL_ENV:-}" ] || try "$VIRTUAL_ENV/bin/python"
for name in python3.13 python3.12 python3.14 python3 python; do try_on_path "$name"; done

home=${HOME:-/nonexistent}
pyenv=${PYENV_ROOT:-$home/.pyenv}
uv=${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-$home/.local/share}/uv/python}
mise=${MISE_DATA_DIR:-${XDG_DATA_HOME:-$home/.local/share}/mise}
asdf=${ASDF_DATA_DIR:-$home/.asdf}
for minor in 13 12 14; do
    for path in "$pyenv/versions/3.$minor".*/bin/python .tools/python/cpython-3."$minor"*/bin/python3 \
        "$uv/cpython-3.$minor"*/bin/python3 "$mise/installs/python/3.$minor"*/bin/python3 \
        "$asdf/installs/python/3.$minor".*/bin/python3 "/opt/homebrew/bin/python3.$minor" "/usr/local/bin/python3.$minor"; do
        try "$path"
    done
done
for root in "${CONDA_PREFIX:-}" "$home/miniforge3" "$home/mambaforge" "$home/miniconda3" "$home/anaconda3" /opt/conda; do
    [ -n "$root" ] || continue
    for path in "$root/bin/python" "$root"/envs/*/bin/python; do try "$path"; done
done
exit 1
