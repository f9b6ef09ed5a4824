#!/bin/sh
# lock.sh [--upgrade]: writes requirements.lock and requirements/*.lock from pyproject.toml; no address gets in.
set -eu
cd "$(dirname "$0")/.."

uv=$(sh scripts/find-uv.sh)
python=.venv/bin/python
[ -x "$python" ] || python=$(sh scripts/find-python.sh)
export UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1

compile() { # lock, source...
    lock=$1
    shift
    echo "lock: $lock" >&2
    "$uv" pip compile --quiet --no-progress --universal --python "$python" --python-version 3.12 \
        --generate-hashes --no-emit-index-url --no-header --no-annotate $upgrade -o "$lock" "$@" >/dev/null
}

extra() { # the requirements of one extra, a line each
    "$python" -I -c 'import sys, tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"][sys.argv[1]], sep="\n")' "$1"
}

upgrade=${1:-}
mkdir -p requirements
compile requirements.lock pyproject.toml --only-binary :all: --group build --group test
# These go on top of requirements.lock, so they must agree with it; PySpark comes as source only.
compile requirements/dev.lock -c requirements.lock --group dev
compile requirements/browser.lock -c requirements.lock --group browser
compile requirements/spark.lock -c requirements.lock --group spark-test
for name in datasets pdf; do extra "$name" | compile "requirements/$name.lock" -c requirements.lock -; done
# These stand alone.
compile requirements/bench.lock --only-binary :all: --group bench
echo uv | compile requirements/uv.lock --only-binary :all: -
