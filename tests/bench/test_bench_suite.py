from __future__ import annotations

from pathlib import Path

import pytest
from bench_tools import SMALL, cli, write_suite

import optsched
from optsched import datasets
from optsched.bench.instances import Known, best_known, data_hash, restore
from optsched.bench.peers import find_peer
from optsched.bench.suite import find_suite, read_suite, suite_folders
from optsched.core import InputError

CORE = (
    "ft10 la29 la38 abz7 abz8 abz9 orb01 swv03 swv06 swv10 swv12 swv18 yn1 yn3 ta01 ta11 ta15 "
    "ta21 ta26 ta31 ta36 ta41 ta46 ta51 ta61 ta71 dmu03 dmu43 dmu63 dmu78"
)
GOOD = f"""\
name = "good"
instances = ["ft06", "la0[1-3]", {SMALL}]
time_limit = 1.5
workers = 2
seeds = [0, 7]

[[solver]]
label = "ours"
solver = "auto"

[[solver]]
solver = "cpsat"
options = {{ linearization_level = 0 }}
"""


def read(folder: Path, text: str, **options: object):
    path = folder / "suite.toml"
    path.write_text(text, encoding="utf-8")
    return read_suite(path, **options)  # type: ignore[arg-type]


def test_read_suite(tmp_path: Path) -> None:
    suite = read(tmp_path, GOOD)
    names = [instance.name for instance in suite.instances]
    assert names == ["ft06", "la01", "la02", "la03", "random-3x2-1", "random-3x2-2"]
    assert [spec.label for spec in suite.solvers] == ["ours", "cpsat"]
    assert (suite.time_limit, suite.workers, suite.seeds) == (1.5, 2, (0, 7))
    assert suite.instances[0].group == "ft"
    assert suite.instances[0].size == "6x6"
    assert suite.instances[4].group == "random"


def test_overrides(tmp_path: Path) -> None:
    suite = read(tmp_path, GOOD, time_limit=9, workers=1, only="la*", label="cpsat")
    assert [instance.name for instance in suite.instances] == ["la01", "la02", "la03"]
    assert [spec.label for spec in suite.solvers] == ["cpsat"]
    assert (suite.time_limit, suite.workers) == (9, 1)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('"ft06"', '"ft66"', 2, "ft06"),
        ('"la0[1-3]"', '"lb0*"', 2, "matches no instance"),
        ("machines = 2", "machine = 2", 2, "did you mean machines"),
        ('generator = "job_shop"', 'generator = "job_shops"', 2, "did you mean job_shop"),
        ("time_limit = 1.5", "time_limits = 1.5", 3, "did you mean time_limit"),
        ("time_limit = 1.5", "time_limit = -1", 3, "above 0"),
        ("time_limit = 1.5", 'time_limit = "1"', 3, "expected a number"),
        ("workers = 2", "workers = 1.5", 4, "expected an integer"),
        ("seeds = [0, 7]", "seeds = [-1]", 5, "at least 0"),
        ("seeds = [0, 7]", "seed = [1]", 5, "did you mean seeds"),
        ('solver = "auto"', 'solver = "autos"', 9, "did you mean auto"),
        ('solver = "auto"', 'peer = "plain-cpsta"', 9, "did you mean plain-cpsat"),
        ('solver = "cpsat"', 'solver = "cpsat:x"', 12, "no variant"),
        ('label = "ours"', 'lable = "ours"', 8, "did you mean label"),
        ('label = "ours"', 'label = "cpsat"', 12, "used twice"),
        ("linearization_level", "linearisation_level", 13, "did you mean linearization_level"),
        ("linearization_level = 0", 'linearization_level = "high"', 13, "does not take"),
        ('solver = "auto"', 'solver = "cpsat"\noptions = { linearization_level = 0 }', 13, "as"),
    ],
)
def test_refused_with_line(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    message = str(caught.value)
    assert f"suite.toml, line {line}: " in message
    assert words in message
    assert "\n" not in message


def test_refused_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not TOML: Invalid value"):
        read(tmp_path, "instances = [")
    with pytest.raises(InputError, match="time_limit is missing"):
        read(tmp_path, 'instances = ["ft06"]\n[[solver]]\nsolver = "auto"\n')
    with pytest.raises(InputError, match="--only zz"):
        read(tmp_path, GOOD, only="zz*")
    with pytest.raises(InputError, match=r"--solver.*did you mean ours"):
        read(tmp_path, GOOD, label="our")
    with pytest.raises(InputError, match="--time-limit"):
        read(tmp_path, GOOD, time_limit=0)
    with pytest.raises(InputError, match="did you mean smoke"):
        find_suite("smoek")


def test_features_that_cannot_be_expressed(tmp_path: Path) -> None:
    flexible = '{ generator = "job_shop", jobs = 3, machines = 3, flexible = 2 }'
    path = write_suite(tmp_path, 'peer = "toy"', instances=flexible)
    with pytest.raises(InputError, match=r"line 5: random.*toy cannot express flexible"):
        read_suite(path)
    path = write_suite(tmp_path, 'peer = "toy"\noptions = { sleeps = 1 }')
    with pytest.raises(InputError, match=r"line 6: .*did you mean sleep"):
        read_suite(path)


def test_nothing_runs_when_refused(tmp_path: Path) -> None:
    path = write_suite(tmp_path, 'peer = "toy"', 'solver = "cpsta"')
    code, text = cli("run", str(path), "--out", str(tmp_path / "out"))
    assert code == 2
    assert text.startswith("error: ")
    assert "line 7" in text
    assert not (tmp_path / "out").exists()


def test_files_as_instances(tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    for name in ("a", "b"):
        (tmp_path / "suites" / f"{name}.txt").write_text("1 2\n0 3 1 2\n", encoding="utf-8")
    suite = read_suite(write_suite(tmp_path, instances='"*.txt"'))
    assert [instance.name for instance in suite.instances] == ["a", "b"]


def test_shipped_suites() -> None:
    folder = suite_folders()[0]
    assert {"smoke", "jobshop-core", "jobshop-classic"} <= {p.stem for p in folder.glob("*.toml")}
    text = (folder / "jobshop-core.toml").read_text(encoding="utf-8")
    assert all(f'"{name}"' in text for name in CORE.split())
    assert all(datasets.info(name).upper for name in CORE.split())
    assert read_suite(folder / "smoke.toml").instances
    for peer in ("plain-cpsat", "plain-highs", "pyjobshop"):
        assert find_peer(peer, folder).families == ("job_shop",)


def test_classic_is_242() -> None:
    import fnmatch
    import tomllib

    from optsched.bench.instances import qualified_names

    data = tomllib.loads(find_suite("jobshop-classic").read_text(encoding="utf-8"))
    names = {
        name
        for pattern in data["instances"]
        for name in qualified_names()
        if fnmatch.fnmatchcase(name, pattern)
    }
    assert len(names) == 242


CHANGED = """\
instances = [
  { instance = "jsplib/ft0*", change = { buffers = "none", swap = true }, label = "blocking" },
]
time_limit = 1

[[solver]]
solver = "auto"
"""


def test_instances_with_changed_fields(tmp_path: Path) -> None:
    [instance] = read(tmp_path, CHANGED).instances
    assert (instance.name, instance.group, instance.size) == ("ft06-blocking", "ft", "6x6")
    problem = instance.problem()
    assert "blocking" in problem.features()
    assert problem.swap
    # What is known of the instance in the registry says nothing of the changed one.
    assert best_known(instance.source) == Known()
    kept = restore(instance.source, tmp_path)
    assert data_hash(kept) == instance.sha != data_hash(optsched.load("ft06"))


def test_changed_instances_are_told_apart_without_a_label(tmp_path: Path) -> None:
    text = CHANGED.replace(', label = "blocking"', "")
    [instance] = read(tmp_path, text).instances
    assert instance.name == "ft06-buffersnone-swapTrue"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("ft0*", "ft66*", "matches no instance"),
        ("change =", "changes =", "did you mean change"),
        ('buffers = "none"', 'buffers = "non"', "unknown buffer"),
        ('buffers = "none"', 'buffer = "none"', "unknown field"),
        ('{ buffers = "none", swap = true }', "3", "fields to change"),
        ('{ buffers = "none", swap = true }', "{}", "fields to change"),
        ('"blocking"', "7", "label"),
    ],
)
def test_changes_that_are_in_error(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in CHANGED
    with pytest.raises(InputError, match=words):
        read(tmp_path, CHANGED.replace(old, new))
