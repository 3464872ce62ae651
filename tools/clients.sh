#!/bin/sh
# Installs the FHIR clients that `make setup` leaves out (one brings pandas, two need node), then tests all clients.
set -eu
venv=$1
shift

"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[clients]"
if command -v npm >/dev/null 2>&1; then
    npm ci --silent --no-audit --no-fund --prefix tests/clients/npm
else
    echo "test-clients: npm was not found; the clients from npm are skipped" >&2
fi
"$venv/bin/python" -m pytest tests/clients "$@"
