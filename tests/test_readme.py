"""Every Python block of README runs, and prints what its comment says."""

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("source", BLOCKS, ids=range(len(BLOCKS)))
def test_block(source, capsys):
    exec(compile(source, str(README), "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    told = re.findall(r"^print\(.*?\)\s+# ([A-Z].*)$", source, flags=re.MULTILINE)
    for line in told:
        assert line in printed


def test_readme_opens_with_the_two_commands():
    lines = README.read_text(encoding="utf-8").splitlines()
    opening = [line for line in lines[:8] if line.startswith("make ")]
    assert [line.split()[1] for line in opening] == ["demo", "test"]
