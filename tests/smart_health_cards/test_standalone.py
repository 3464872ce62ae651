"""The library stands alone: every module of it loads nothing of the server, and two libraries only."""

import subprocess
import sys

NEEDED = {"cryptography", "qrcode"}
OF_THESE = {"_cffi_backend", "_openssl", "PIL"}
"""What the two bring along; qrcode does without PIL where it is not installed."""

PROGRAM = """
import importlib, pkgutil, sys
before = set(sys.modules)
import smart_health_cards
for module in pkgutil.iter_modules(smart_health_cards.__path__):
    importlib.import_module(f"smart_health_cards.{module.name}")
print(*{name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))
"""


def test_a_fresh_interpreter_loads_cryptography_and_a_qr_encoder() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert loaded - OF_THESE == {"smart_health_cards", *NEEDED}
