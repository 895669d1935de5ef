"""The registry, the instances that need no download, fetching, and `load`."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mirror import COLLECTION, MIRROR, needs_mirror

from optsched import InputError, JobShop, datasets, loading
from optsched.datasets import embedded, fetching, generators, registry, taillard
from optsched.formats import formats_by_family, read_file, write_text

ENTRIES = [entry for each in datasets.datasets() for entry in registry.entries(each.name)]
#: Instances of this many bytes take more than a moment to read.
LARGE = 1_000_000


@pytest.fixture
def mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTSCHED_DATASETS", str(MIRROR))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No mirror, an empty cache, and no way to the network; returns the cache."""
    monkeypatch.delenv("OPTSCHED_DATASETS", raising=False)
    monkeypatch.setattr(fetching, "in_cache", lambda entry: tmp_path / "cache" / entry.path)
    monkeypatch.setattr(registry.Entry, "url", property(lambda entry: "http://127.0.0.1:1/none"))
    return tmp_path / "cache"


def file_of(entry: registry.Entry) -> Path:
    return MIRROR / entry.repository / entry.path


# ---- the registry --------------------------------------------------------------------------------


def test_the_registry_is_sound() -> None:
    sizes = {each.name: each.size for each in datasets.datasets()}
    assert (sizes["jsplib"], sizes["fjsplib"]) == (356, 402)
    assert len({(entry.dataset, entry.name.lower()) for entry in ENTRIES}) == len(ENTRIES)
    for entry in ENTRIES:
        assert entry.family in formats_by_family(), entry
        assert len(entry.sha256) == 64
        if not entry.repository:  # a mirror alone holds it
            assert (entry.url, entry.commit) == ("", "")
            continue
        assert len(entry.commit) == 40
        assert entry.lower is None or entry.upper is None or entry.lower <= entry.upper
        assert entry.url.startswith(f"https://raw.githubusercontent.com/{entry.repository}/")


def test_the_registry_stays_small() -> None:
    data = Path(registry.__file__).parent / "data"
    assert sum(file.stat().st_size for file in data.iterdir()) < 150_000


def test_every_hash_belongs_to_an_instance() -> None:
    digests = (Path(registry.__file__).parent / "data" / "sha256.bin").read_bytes()
    stored = {
        digests[at : at + registry.DIGEST].hex() for at in range(0, len(digests), registry.DIGEST)
    }
    of_many = [
        {entry.sha256 for entry in registry.entries(each.name)} for each in datasets.datasets()
    ]
    assert stored == set().union(*(found for found in of_many if len(found) > 1))


@pytest.mark.parametrize(
    ("name", "size", "lower", "upper", "source"),
    [
        ("ft10", "10x10", 930, 930, "Fisher and Thompson 1963"),
        ("swv01", "20x10", 1407, 1407, "Storer, Wu and Vaccari 1992"),
        ("mk01", "10x6", 40, 40, "Brandimarte 1993"),
        ("la01_vdata", "10x5", 570, 570, "Hurink, Jurisch and Thole 1994"),
    ],
)
def test_info(name: str, size: str, lower: int, upper: int, source: str) -> None:
    info = datasets.info(name)
    assert (info.name, info.size, info.lower, info.upper) == (name, size, lower, upper)
    assert (info.source, info.family) == (source, "job_shop")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ft10", "jsplib/ft10"),
        ("FT10", "jsplib/ft10"),
        (" ft10 ", "jsplib/ft10"),
        ("jsplib/ft10", "jsplib/ft10"),
        ("JSPLib/Ft10", "jsplib/ft10"),
        ("ta41js", "jsplib/ta41"),
        ("jsplib/TA41JS", "jsplib/ta41"),
        ("la01_edata", "fjsplib/la01_edata"),
        ("dpp18a", "fjsplib/dpp18a"),
        ("tai_1000_10_1", "jsplib/tai_1000_10_1"),
        ("dct-short-1000-100000-2", "jsplib/dct-short-1000-100000-2"),
    ],
)
def test_names(name: str, found: str) -> None:
    entry = registry.find(name)
    assert f"{entry.dataset}/{entry.name}" == found


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ft11", r"no dataset instance is called 'ft11'; nearest: .*ft10"),
        ("jsplib/fft06", r"no dataset instance is called 'jsplib/fft06'; nearest: .*jsplib/ft06"),
        ("jsplib/mk01", "no dataset instance"),
        ("jsplib/", "no dataset instance"),
        ("", "no dataset instance"),
        ("qqqqqqqq", "is called 'qqqqqqqq'$"),
        ("x\n" * 10**5, "no dataset instance"),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    for function in (datasets.load_instance, datasets.info, datasets.fetch):
        with pytest.raises(InputError, match=message) as raised:
            function(name)
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 200


def test_every_listed_name_is_found() -> None:
    names = datasets.names()
    assert len(names) == len(set(names)) == len(ENTRIES)
    for name in names:
        registry.find(name)
    assert datasets.names("fjsplib")[0] == "mk01"
    with pytest.raises(InputError, match=r"unknown dataset 'nolib': one of .*jsplib"):
        datasets.names("nolib")


def test_names_of_two_datasets_need_the_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = dict(registry._tables())
    tables["otherlib"] = (datasets.Dataset("otherlib", "job_shop", "", 356), tables["jsplib"][1])
    monkeypatch.setattr(registry, "_tables", lambda: tables)
    monkeypatch.setattr(registry, "_by_name", registry._by_name.__wrapped__)
    with pytest.raises(InputError, match="'ft10' is ambiguous: jsplib/ft10 or "):
        registry.find("ft10")
    assert registry.find("otherlib/ft10").name == "ft10"
    assert "jsplib/ft10" in registry.names()
    assert "mk01" in registry.names()


# ---- instances at hand ---------------------------------------------------------------------------


def test_classics_and_taillards_need_no_download(offline: Path) -> None:
    for name in ["ft06", "ft10", "ft20"] + [f"la0{i}" for i in range(1, 6)]:
        problem = datasets.load_instance(name)
        assert problem.name == name
        assert "embedded" in datasets.info(name).origin
    problem = datasets.load_instance("ta01")
    assert isinstance(problem, JobShop)
    assert (problem.name, problem.n_jobs, problem.n_machines) == ("ta01", 15, 15)
    assert problem.alt_machine[:3].tolist() == [6, 12, 4]
    assert problem.alt_duration[:3].tolist() == [94, 66, 10]
    assert "seeds" in datasets.info("ta01").origin
    assert datasets.fetch("ta01") == {"ta01": None}
    assert not offline.exists()


@needs_mirror
def test_instances_at_hand_are_identical_with_the_published_files() -> None:
    at_hand = [entry for entry in ENTRIES if embedded.how(entry)]
    assert len(at_hand) == 88
    for entry in at_hand:
        published = read_file(file_of(entry))
        published.__dict__["name"] = entry.name
        assert embedded.provide(entry) == published, entry.name


def test_taillards_generator() -> None:
    assert sum(len(seeds) for seeds in taillard.SEEDS.values()) == 80
    assert taillard.instance(80).n_jobs == 100
    for number in (0, 81):
        with pytest.raises(InputError, match="ta01 to ta80"):
            taillard.instance(number)
    for arguments in ((0, 5, 1, 1), (5, 0, 1, 1), (5, 5, 0, 1), (5, 5, 1, 2**31 - 1)):
        with pytest.raises(InputError):
            taillard.generate(*arguments)


# ---- files of the mirror -------------------------------------------------------------------------


def check_against_registry(entry: registry.Entry) -> None:
    problem = loading.load(f"{entry.dataset}/{entry.name}")
    assert isinstance(problem, JobShop)
    assert problem.name == entry.name
    assert f"{problem.n_jobs}x{problem.n_machines}" == entry.size, entry.name
    path = file_of(entry)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256


@needs_mirror
@pytest.mark.usefixtures("mirrored")
@pytest.mark.parametrize("dataset", ["jsplib", "fjsplib"])
def test_every_instance_reads_at_its_published_size(dataset: str) -> None:
    for entry in registry.entries(dataset):
        if file_of(entry).stat().st_size < LARGE:
            check_against_registry(entry)


@pytest.mark.slow
@needs_mirror
@pytest.mark.usefixtures("mirrored")
def test_every_large_instance_reads_at_its_published_size() -> None:
    shops = [entry for entry in ENTRIES if entry.family == "job_shop"]
    large = [entry for entry in shops if file_of(entry).stat().st_size >= LARGE]
    assert len(large) == 10
    for entry in large:
        check_against_registry(entry)


@needs_mirror
@pytest.mark.parametrize(
    ("dataset", "folder", "absent", "misprinted"),
    [
        ("jsplib", "jobshop", 20, set()),  # bel00 to bel19 have bounds, but no files
        ("fjsplib", "flexible-jobshop", 0, {"kacem1", "fattahi6"}),
    ],
)
def test_the_registry_agrees_with_the_published_bounds(
    dataset: str, folder: str, absent: int, misprinted: set[str]
) -> None:
    text = (COLLECTION / folder / "solutions" / "bks.json").read_text(encoding="utf-8")
    published = {facts["instance"].removesuffix("js"): facts for facts in json.loads(text)}
    entries = registry.entries(dataset)
    assert len(published) == len(entries) + absent
    for entry in entries:
        facts = published[entry.name]
        assert (entry.lower, entry.upper) == (facts["lower_bound"], facts["upper_bound"])
        same = entry.size == facts["size"].replace(" ", "")
        assert same != (entry.name in misprinted)


@needs_mirror
@pytest.mark.usefixtures("mirrored")
def test_some_instances_are_what_the_files_say() -> None:
    flexible = loading.load("mk01")
    assert isinstance(flexible, JobShop)
    assert flexible.n_ops == 55
    assert not loading.load("la01_sdata").flexible  # type: ignore[attr-defined]
    reentrant = loading.load("dct-long-100-10000-1")
    assert isinstance(reentrant, JobShop)
    assert len(set(np.diff(reentrant.job_offset).tolist())) > 1
    info = datasets.info("mk01")
    assert info.origin.endswith("Brandimarte1993/mk01.txt")
    assert list(datasets.fetch("fjsplib")) == datasets.names("fjsplib")
    path = datasets.fetch("dmu01")["dmu01"]
    assert path is not None
    assert read_file(path).name == "dmu01"


def test_a_mirror_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.find("dmu01")
    path = tmp_path / entry.repository / entry.path
    path.parent.mkdir(parents=True)
    path.write_text("1 1\n0 1\n")
    monkeypatch.setenv("OPTSCHED_DATASETS", str(tmp_path))
    with pytest.raises(InputError, match=r"dmu01\.txt is not the registered file of jsplib/dmu01"):
        datasets.load_instance("dmu01")
    monkeypatch.setenv("OPTSCHED_DATASETS", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"OPTSCHED_DATASETS names .*none, which is no directory"):
        datasets.load_instance("dmu01")


# ---- download ------------------------------------------------------------------------------------

TINY = b"2 2\n0 3 1 2\n1 4 0 1\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server for the folder ``public``; yields its address."""
    public = tmp_path / "public"
    public.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(public))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def registered(
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
    path: str,
    member: str = "",
    together: tuple[str, ...] = (),
) -> None:
    """Let ``otherlib/tiny`` be a file of these bytes (or of these digests, with others)."""
    entry = registry.Entry(
        "tiny", "otherlib", "job_shop", "2x2", 1, 9, "us", "o/r", "c", path,
        hashlib.sha256(data).hexdigest(), member, together,
    )  # fmt: skip
    table = (datasets.Dataset("otherlib", "job_shop", "", 1), {"tiny": entry})
    tables = {**registry._tables(), "otherlib": table}
    monkeypatch.setattr(registry, "_tables", lambda: tables)
    monkeypatch.setattr(registry, "_by_name", registry._by_name.__wrapped__)


def test_download(
    offline: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "public" / "tiny.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("other.txt", "x")
        file.writestr("tiny.txt", TINY)
    data = archive.read_bytes()
    registered(monkeypatch, data, "deep/tiny.zip", "tiny.txt")
    monkeypatch.setattr(registry.Entry, "url", property(lambda entry: f"{server}/tiny.zip"))
    assert datasets.info("tiny").origin == f"{server}/tiny.zip"
    problem = datasets.load_instance("tiny")
    assert isinstance(problem, JobShop)
    assert (problem.name, problem.n_jobs) == ("tiny", 2)
    # From now on the cache serves, unless it was tampered with.
    archive.unlink()
    cached = offline / "deep" / "tiny.zip"
    assert datasets.info("tiny").origin == str(cached)
    assert datasets.load_instance("otherlib/tiny") == problem
    assert datasets.fetch("tiny") == datasets.fetch("otherlib") == {"tiny": cached}
    cached.write_bytes(data + b"x")
    with pytest.raises(InputError, match="the server answered 404"):
        datasets.load_instance("tiny")
    archive.write_bytes(data)
    assert datasets.load_instance("tiny") == problem


def test_a_download_is_verified(
    offline: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "public" / "tiny.txt").write_bytes(TINY + b"\n")
    registered(monkeypatch, TINY, "tiny.txt")
    monkeypatch.setattr(registry.Entry, "url", property(lambda entry: f"{server}/tiny.txt"))
    with pytest.raises(InputError, match="another sha256 than the registered"):
        datasets.load_instance("tiny")
    assert not (offline / "tiny.txt").exists()


def test_files_verified_together(
    offline: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hash for several files: each is obtained and verified with the others."""
    public = tmp_path / "public"
    files = {f"{name}.txt": TINY + b"\n" * k for k, name in enumerate(("tiny", "small", "odd"))}
    for name, data in files.items():
        (public / name).write_bytes(data)
    digests = b"".join(hashlib.sha256(data).digest() for data in files.values())
    registered(monkeypatch, digests, "small.txt", together=tuple(files))
    monkeypatch.setattr(registry.Entry, "url", property(lambda entry: f"{server}/{entry.path}"))
    problem = datasets.load_instance("tiny")
    assert isinstance(problem, JobShop)
    assert sorted(path.name for path in offline.iterdir()) == sorted(files)
    # What is in the cache serves; a file there that is not the registered one is brought anew.
    (public / "tiny.txt").unlink()
    assert datasets.load_instance("tiny") == problem
    (offline / "odd.txt").write_bytes(b"x")
    with pytest.raises(InputError, match="the server answered 404"):
        datasets.load_instance("tiny")
    (public / "tiny.txt").write_bytes(files["tiny.txt"])
    assert datasets.load_instance("tiny") == problem
    # Whichever of them is wrong at its origin, none is used.
    (offline / "odd.txt").unlink()
    (public / "odd.txt").write_bytes(TINY)
    with pytest.raises(InputError, match="another sha256 than the registered"):
        datasets.load_instance("tiny")
    assert not list(offline.iterdir())
    # A mirror that lacks one of them leaves that one to the cache and the origin.
    mirror = tmp_path / "mirror"
    for name in ("tiny.txt", "small.txt", "odd.txt"):
        monkeypatch.setenv("OPTSCHED_DATASETS", str(mirror))
        (mirror / "o/r").mkdir(parents=True, exist_ok=True)
        (mirror / "o/r" / name).write_bytes(files[name])
        (public / name).unlink()
        if name == "small.txt":
            with pytest.raises(InputError, match=r"the server answered|another sha256"):
                datasets.load_instance("tiny")
    assert datasets.load_instance("tiny") == problem
    (mirror / "o/r/odd.txt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"one of .*odd.txt is not the registered.*differs"):
        datasets.load_instance("tiny")


def test_an_instance_that_no_public_file_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPTSCHED_DATASETS", str(tmp_path))
    assert datasets.info("smtt100/1").origin == "a mirror's smtt/n100.json"
    with pytest.raises(InputError, match=r"no public file.*OPTSCHED_DATASETS.*smtt/n100.json"):
        datasets.load_instance("smtt100/1")


@needs_mirror
@pytest.mark.usefixtures("mirrored")
def test_total_tardiness_instances_have_their_optima() -> None:
    assert len(datasets.names("smtt20")) == len(datasets.names("smtt20-uniform")) == 800
    for name in ("smtt20/3", "smtt100/200", "smtt500/1"):
        problem, info = loading.load(name), datasets.info(name)
        assert problem.name == name
        assert str(problem.n_jobs) == info.size  # type: ignore[attr-defined]
        assert info.lower == info.upper


def test_without_network(offline: Path) -> None:
    for function in (datasets.load_instance, datasets.fetch, loading.load):
        with pytest.raises(InputError, match=r"jsplib/dmu01 cannot be downloaded .*OPTSCHED_DATA"):
            function("dmu01")


def test_an_instance_within_a_file_of_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(monkeypatch, TINY, "all.txt", "7")
    path = tmp_path / "o/r/all.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(TINY)
    monkeypatch.setenv("OPTSCHED_DATASETS", str(tmp_path))

    def read_member(text: str, member: str, name: str) -> JobShop:
        assert (text, member, name) == (TINY.decode(), "7", "tiny")
        return generators.job_shop(2, 2, 7, name=name)

    monkeypatch.setattr(
        "optsched.problems.job_shop.formats.read_member", read_member, raising=False
    )
    assert datasets.load_instance("tiny") == generators.job_shop(2, 2, 7, name="tiny")


# ---- load ----------------------------------------------------------------------------------------


def test_load_takes_names_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    problem = generators.job_shop(2, 3, name="mine")
    (tmp_path / "mine.txt").write_text(write_text(problem, ".txt"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text(write_text(problem, ".json"))
    for name in ("mine.txt", "./mine.txt", "folder/mine", tmp_path / "mine.txt", Path("mine.txt")):
        assert loading.load(name) == problem
    assert loading.load("ft06").name == "ft06"
    (tmp_path / "ft06").write_text(write_text(problem, ".json"))  # a file comes first
    assert loading.load("ft06") == problem
    (tmp_path / "ft10").mkdir()  # but not a directory
    assert loading.load("ft10").name == "ft10"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ft11", "no file and no dataset instance is called 'ft11'; nearest: .*ft10"),
        ("folder/ft11", "no file and no dataset instance is called 'folder/ft11'"),
        ("mine.txt", r"there is no file mine\.txt"),
        ("mine.fjs", r"there is no file mine\.fjs"),
        ("mine.JSON", r"there is no file mine\.JSON"),
        ("mine.zip", r"there is no file mine\.zip"),
        (os.path.abspath(os.sep), "is a directory"),
        (".", "is a directory"),
        ("", "empty name"),
        (" \n", "empty name"),
        ("a\0b", "no file and no dataset instance"),
        ("x" * 10**5, "no file and no dataset instance"),
        (b"ft10", "expected a name or a path"),
        (None, "expected a name or a path"),
        (7, "expected a name or a path"),
        (Path("none") / "ft10", "there is no file none"),
    ],
)
def test_load_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as raised:
        loading.load(name)
    assert "\n" not in str(raised.value)


# ---- generators ----------------------------------------------------------------------------------


def test_generator_keeps_its_word() -> None:
    problem = generators.job_shop(20, 10, 5)
    assert problem == generators.job_shop(20, 10, 5)
    assert problem != generators.job_shop(20, 10, 6, name=problem.name)
    assert problem.name == "random-20x10-5"
    assert (np.sort(problem.alt_machine.reshape(20, 10)) == np.arange(10)).all()
    assert {problem.alt_duration.min(), problem.alt_duration.max()} <= set(range(1, 100))
    flexible = generators.job_shop(20, 10, 5, flexible=4, durations=(10, 20))
    counts = np.diff(flexible.alt_offset)
    assert set(counts.tolist()) == {1, 2, 3, 4}
    assert flexible.alt_duration.min() >= 10
    assert flexible.alt_duration.max() <= 20
    assert generators.job_shop(1000, 100).n_ops == 100_000


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_jobs": 0},
        {"n_machines": 0},
        {"seed": -1},
        {"flexible": 0},
        {"flexible": 4},
        {"durations": (-1, 5)},
        {"durations": (5, 4)},
    ],
)
def test_generator_refuses(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        generators.job_shop(**({"n_jobs": 2, "n_machines": 3} | arguments))
