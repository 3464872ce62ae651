"""Volumes: what the long run measured, as the table in docs/volumes.md.

https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_terminal_summary
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

OPTION = "--volumes"
_MEASURED = "measured"
_MARK = "<!-- table -->"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--volumes FILE`: rewrite the table in this file with what the tests of this run measured."""
    parser.addoption(OPTION, type=Path, metavar="FILE", help="rewrite the table of volumes in this file")


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Say what was counted; a long run puts it into the table."""
    return lambda said: record_property(_MEASURED, said)


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the table, one row a test."""
    path: Path | None = config.getoption(OPTION)
    if path is None:
        return
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if report.when == "call"
    ]
    head = path.read_text().partition(_MARK)[0]
    rows = "\n".join(_row(report) for report in sorted(reports, key=lambda report: str(report.nodeid)))
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    when = f"Run on {time.strftime('%Y-%m-%d', time.gmtime())} at commit {commit or 'unknown'}."
    table = f"| test | measured | seconds | outcome |\n|---|---|--:|---|\n{rows}"
    path.write_text(f"{head}{_MARK}\n\n{when}\n\n{table}\n")


def _row(report: pytest.TestReport) -> str:
    said = "; ".join(str(value) for name, value in report.user_properties if name == _MEASURED)
    name = report.nodeid.removeprefix("tests/").replace("|", "\\|")
    return f"| {name} | {said} | {report.duration:.0f} | {report.outcome} |"
