"""The library stands alone: importing it loads nothing of the server."""

import subprocess
import sys

FOREIGN = ("fhir_server", "profiles", "terminology", "fastapi", "starlette", "pymongo", "motor", "bson", "zxingcpp")


def test_a_fresh_interpreter_loads_no_server_web_or_database_module() -> None:
    program = "import smart_health_cards, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "smart_health_cards" in done.stdout.split()
    assert not set(FOREIGN) & set(done.stdout.split())
