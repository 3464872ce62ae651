#!/bin/sh
# Makes the virtual environment and installs the package with its embedded database and, for "dev", the test tools.
set -eu
python=$1
venv=$2
extra=$3

if ! command -v "$python" >/dev/null 2>&1; then
    echo "setup: '$python' was not found. Install Python 3.11 or newer, or run: make PYTHON=/path/to/python3" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "setup: $("$python" --version) is too old; Python 3.11 or newer is needed. Try: make PYTHON=python3.11" >&2
    exit 1
fi
if [ ! -x "$venv/bin/python" ] && ! "$python" -m venv "$venv" 2>/dev/null; then
    rm -rf "$venv"
    # Debian splits venv's pip off; virtualenv, where present, does the same job.
    if ! "$python" -m virtualenv -q "$venv" 2>/dev/null; then
        echo "setup: '$python -m venv' does not work here. On Debian or Ubuntu: apt install python3-venv; elsewhere: $python -m pip install virtualenv" >&2
        exit 1
    fi
fi
if [ "$extra" = dev ]; then
    extras=embedded,dev
else
    extras=embedded
fi
echo "setup: installing into $venv (once; about a minute)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extras]"
touch "$venv/.embedded" "$venv/.$extra"
