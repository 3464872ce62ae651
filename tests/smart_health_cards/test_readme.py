"""The README's example of the library runs as it stands there."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def test_issue_draw_read_verify(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert len([line for line in example.splitlines() if line]) == 10
    told = capsys.readouterr().out
    assert "True (Dose(status='completed'" in told
