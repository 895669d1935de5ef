"""Every Python block of README and of the documentation runs, and prints what its comment says.

A block with a ``title`` is a file of the page: it is written where a package would have it.
"""

import importlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import optsched
from optsched import problems, solvers

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"```python(?: title=\"(.*?)\")?\n(.*?)```", flags=re.DOTALL)


@dataclass(frozen=True)
class Block:
    page: Path
    number: int
    title: str
    source: str


def blocks(page):
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [Block(page, k, title, source) for k, (title, source) in enumerate(found)]


RUN = [block for page in PAGES for block in blocks(page) if not block.title]


def name(block):
    return f"{block.page.stem}-{block.number}"


@pytest.fixture
def files_of_page(request, tmp_path, monkeypatch):
    """Write the page's files into a package beside optsched's own."""
    titled = [block for block in blocks(request.param.page) if block.title]
    for block in titled:
        path = tmp_path / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(block.source, encoding="utf-8")
    if titled:
        (tmp_path / "optsched" / "problems" / "__init__.py").unlink(missing_ok=True)
        for package, folder in ((problems, "problems"), (solvers, "solvers")):
            where = [*package.__path__, str(tmp_path / "optsched" / folder)]
            monkeypatch.setattr(package, "__path__", where)
        monkeypatch.setattr(solvers, "MODULES", solvers.MODULES)
        known = dict(solvers.MODULES)
        importlib.invalidate_caches()
        yield request.param
        solvers.MODULES.clear()
        solvers.MODULES.update(known)
    else:
        yield request.param


@pytest.mark.parametrize("files_of_page", RUN, indirect=True, ids=name)
def test_block(files_of_page, capsys, monkeypatch, tmp_path):
    block = files_of_page
    monkeypatch.chdir(tmp_path)
    exec(compile(block.source, str(block.page), "exec"), {"__name__": "page"})
    printed = capsys.readouterr().out.splitlines()
    told = re.findall(r"^\s*print\(.*?\)\s+# (\S.*)$", block.source, flags=re.MULTILINE)
    for line in told:
        if re.match(r"[A-Z0-9]|job ", line):
            assert line in printed


def test_readme_opens_with_the_two_commands():
    lines = PAGES[0].read_text(encoding="utf-8").splitlines()
    opening = [line for line in lines[:8] if line.startswith("make ")]
    assert [line.split()[1] for line in opening] == ["demo", "test"]


def test_the_reference_names_the_public_face():
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    for each in ("solve", "stream", "compile", "load", "Result"):
        assert hasattr(optsched, each)
        assert f"::: optsched.{each}\n" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [target.split("#")[0] for target in targets if not target.startswith(("http", "#"))]
    for target in local:
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_is_in_the_navigation():
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        assert f": {page.relative_to(ROOT / 'docs').as_posix()}\n" in config, page


def test_what_other_pages_quote_is_there():
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for name, where in re.findall(r'--8<-- "([^":]+):([^"]+)"', text):
        quoted = (ROOT / name).read_text(encoding="utf-8")
        if where.isalpha():
            assert all(f"--8<-- [{end}:{where}]" in quoted for end in ("start", "end"))
        else:
            assert len(quoted.splitlines()) > 5


NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_committed_as_they_ran(path):
    """From top to bottom, without an error, with their pictures, and not too large."""
    assert path.stat().st_size < 600_000
    cells = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["source"]]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
