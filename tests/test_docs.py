"""Every block of README and of the documentation is tried.

Python runs, and prints what its comment says; a block with a ``title`` is a file of the page: it is
written where a package would have it, and the page's commands then run, too. Elsewhere commands
are parsed alone. TOML is read as a suite, and README's table of tasks is solved.
"""

import importlib
import importlib.util
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.main import get_command

import optsched
from optsched import cli, datasets, problems, solvers
from optsched.bench.suite import read_suite
from optsched.formats import formats_by_family

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)(?: title=\"(.*?)\")?\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    page: Path
    number: int
    title: str
    source: str


def blocks(page, language="python"):
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    of_language = [(title, source) for kind, title, source in found if kind == language]
    return [Block(page, k, title, source) for k, (title, source) in enumerate(of_language)]


def commands(page):
    """Return the lines of the page's blocks that begin with a program, without comments."""
    lines = [line for block in blocks(page, "") for line in block.source.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if re.match(r"[a-z0-9.]+ \S", line)]


RUN = [block for page in PAGES for block in blocks(page) if not block.title]
COMMANDS = [(page, words) for page in PAGES for words in commands(page)]


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
        formats_by_family.cache_clear()
        yield request.param
        formats_by_family.cache_clear()
        solvers.MODULES.clear()
        solvers.MODULES.update(known)
    else:
        yield request.param


@pytest.mark.parametrize("files_of_page", RUN, indirect=True, ids=name)
def test_block(files_of_page, capsys, monkeypatch, tmp_path, run):
    block = files_of_page
    monkeypatch.chdir(tmp_path)
    exec(compile(block.source, str(block.page), "exec"), {"__name__": "page"})
    printed = capsys.readouterr().out.splitlines()
    told = re.findall(r"^\s*print\(.*?\)\s+# (\S.*)$", block.source, flags=re.MULTILINE)
    for line in told:
        if re.match(r"[A-Z0-9]|job ", line):
            assert line in printed
    if any(other.title for other in blocks(block.page)):
        for words in commands(block.page):
            code, _, told = run(*words[1:])
            assert code == 0, (words, told)


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=[f"{page.stem}: {shlex.join(c)}" for page, c in COMMANDS]
)
def test_command_is_one(page, words):
    """The program knows subcommand and options; nothing is executed."""
    program, *words = words[: words.index(">")] if ">" in words else words
    if program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert re.search(rf"^{words[0]}:", makefile, flags=re.MULTILINE)
    elif program == "optsched":
        command, context = get_command(cli.app), None
        while hasattr(command, "resolve_command"):
            # What follows the name of a subcommand is for that one to parse.
            context = command.make_context(program, words[:1], parent=context)
            program, command, _ = command.resolve_command(context, words)
            words = words[1:]
        command.make_context(program, words, parent=context)
    else:
        assert program in ("kubectl", "pip", "python3", ".")


TOML = [block for page in PAGES for block in blocks(page, "toml")]


@pytest.mark.parametrize("block", TOML, ids=name)
def test_suite_is_one(block, tmp_path):
    (tmp_path / "my_shop.txt").write_text("1 1\n0 3\n", encoding="utf-8")
    path = tmp_path / "suite.toml"
    path.write_text(block.source, encoding="utf-8")
    suite = read_suite(path)
    assert len(suite.solvers) == block.source.count("[[solver]]")
    assert "my_shop" in [instance.name for instance in suite.instances]


def test_the_table_of_tasks_of_readme_is_solved_as_it_says(run, tmp_path, monkeypatch):
    pytest.importorskip("plotly", reason="the chart needs the extra plot")
    monkeypatch.chdir(tmp_path)
    text = PAGES[0].read_text(encoding="utf-8")
    file, command = re.search(r"Save this as `(\S+)`, then\s+`optsched (.*?)`", text).groups()
    (table,) = (block for block in blocks(PAGES[0], "") if "predecessors" in block.source)
    Path(file).write_text(table.source, encoding="utf-8")
    code, _, told = run(*shlex.split(command), "--time-limit", "20")
    assert code == 0
    assert "objective 16" in told  # a cold start may leave no time for the proof
    assert "<html" in Path("plan.html").read_text(encoding="utf-8")


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


FAMILIES = [page for page in PAGES if page.parent.name == "families" and "oracle" not in page.stem]


@pytest.mark.parametrize("page", FAMILIES, ids=lambda page: page.stem)
def test_every_family_has_its_page_with_all_its_parts(page):
    titles = re.findall(r"^## (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {"Data", "Features by solver", "How it is solved", "Sources"} <= set(titles)
    assert blocks(page)


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
    text = "".join("".join(output.get("text", "")) for output in outputs)
    assert "cannot be downloaded" not in text
    if path.stem == "02_single_machine":  # its text is about these
        assert "the paper's instances: 200 of 100 jobs, 200 of 200 jobs, 200 of 500 jobs" in text


@pytest.fixture
def runner():
    """Return ``notebooks/run.py`` as a module."""
    pytest.importorskip("nbclient", reason="the extra notebooks is not installed")
    spec = importlib.util.spec_from_file_location("notebooks_run", ROOT / "notebooks" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_notebook_without_its_instances_keeps_its_outputs(runner, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(runner, "lacking", lambda names: list(names))
    monkeypatch.setattr(runner, "execute", lambda path: pytest.fail("it was run"))
    path = tmp_path / "02_single_machine.ipynb"
    path.write_text("as it was", encoding="utf-8")
    assert not runner.run(path, check=False)
    assert path.read_text(encoding="utf-8") == "as it was"
    assert "missing here: smtt100/1; the outputs stay" in capsys.readouterr().out


def test_a_notebook_that_takes_too_long_fails(runner, monkeypatch, tmp_path, capsys):
    path = tmp_path / "00_quickstart.ipynb"
    path.write_text("as it was", encoding="utf-8")
    monkeypatch.setattr(runner, "execute", lambda path: (None, runner.MOST_SECONDS + 1))
    assert not runner.run(path, check=False)
    assert path.read_text(encoding="utf-8") == "as it was"
    assert f"more than {runner.MOST_SECONDS} s" in capsys.readouterr().out


def test_instances_that_a_notebook_needs_are_known(runner):
    for name, needed in runner.NEEDS.items():
        assert (ROOT / "notebooks" / f"{name}.ipynb").exists()
        for instance in needed:
            assert datasets.info(instance)
