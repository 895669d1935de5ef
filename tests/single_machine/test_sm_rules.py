import json
import time

import numpy as np
import pytest
from mirror import MIRROR

from optsched.core import InputError
from optsched.problems.single_machine import local
from optsched.problems.single_machine.rules import RULES, sequence

SMTT = MIRROR / "smtt"
needs_smtt = pytest.mark.skipif(
    not SMTT.is_dir(), reason="no mirror of smtt: OPTSCHED_DATASETS may name one"
)


def tardiness(p, d, order):
    return int(np.maximum(0, np.cumsum(p[order]) - d[order]).sum())


def naive_eddc(p, d):
    s = sorted(range(len(p)), key=lambda j: (p[j], d[j]))
    for i in range(1, len(s)):
        j = i
        while j > 0 and d[s[j]] < d[s[j - 1]]:
            if d[s[j - 1]] > sum(p[k] for k in s[:j]):
                s[j], s[j - 1] = s[j - 1], s[j]
            j -= 1
    return s


def naive_mddc(p, d):
    left = sorted(range(len(p)), key=lambda j: (d[j], p[j]))
    order, t = [], 0
    while left:
        longest, mean = max(p[j] for j in left), sum(p[j] for j in left) / len(left)

        def value(j, t=t, longest=longest, mean=mean):
            m = max(1.1 * p[j] + t, d[j])
            rho = min(1, p[j] / (t + longest))
            return m * (1 + rho**2 / (1 + rho**2)) + p[j] / (t + mean)

        job = min(left, key=value)
        left.remove(job)
        order.append(job)
        t += p[job]
    return order


def naive_mdd(p, d):
    left = sorted(range(len(p)), key=lambda j: (d[j], p[j]))
    order, t = [], 0
    while left:
        job = min(left, key=lambda j: max(t + p[j], d[j]))
        left.remove(job)
        order.append(job)
        t += p[job]
    return order


def naive_panneerselvam(p, d):
    left, order = list(range(len(p))), []
    while left:
        work = sum(p[j] for j in left)
        job = max(left, key=lambda j, work=work: ((work - d[j]) / p[j], j))
        left.remove(job)
        order.append(job)
    return order


def naive_augmented(p, d, order):
    s = []
    for job in order:
        s.append(job)
        best, source = tardiness(p, d, np.array(s)), None
        for k in range(len(s) - 1, -1, -1):
            moved = [*s[:k], *s[k + 1 :], s[k]]
            if tardiness(p, d, np.array(moved)) < best:
                best, source = tardiness(p, d, np.array(moved)), k
        if source is not None:
            s.append(s.pop(source))
    return s


def random_instances(count, seed=3):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        n = int(rng.integers(1, 25))
        p = rng.integers(1, rng.choice([4, 100]), n)
        yield p, rng.integers(0, max(2, int(p.sum())), n)


@pytest.mark.parametrize(
    ("name", "naive"),
    [
        ("EDDC", naive_eddc),
        ("MDDC", naive_mddc),
        ("MDD", naive_mdd),
        ("PANNEERSELVAM", naive_panneerselvam),
    ],
)
def test_rules_equal_their_definitions(name, naive):
    for p, d in random_instances(150):
        assert sequence(name, p, d).tolist() == naive(p, d)


def test_augmented_form_keeps_the_best_move_to_the_end():
    for p, d in random_instances(100):
        plain = sequence("MDD", p, d)
        assert sequence("AMDD", p, d).tolist() == naive_augmented(p, d, plain.tolist())


def test_every_rule_orders_every_job_in_20_ms_at_500_jobs():
    rng = np.random.default_rng(0)
    p = rng.integers(1, 101, 500)
    d = rng.integers(0, int(p.sum()), 500)
    w = rng.integers(0, 11, 500)
    for name in RULES:
        assert np.array_equal(np.sort(sequence(name, p, d, w)), np.arange(500))
        best = 1.0
        for _ in range(3):
            began = time.perf_counter()
            sequence(name, p, d, w)
            best = min(best, time.perf_counter() - began)
        assert best < 0.02, name


def test_unknown_rule():
    with pytest.raises(InputError, match="MDDC"):
        sequence("MDDX", [1], [1])


@needs_smtt
@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (100, {"EDD": 59.6, "EDDC": 28.1, "MDD": 1.81, "MDDC": 1.52}),
        (200, {"EDD": 63.0, "EDDC": 52.0, "MDD": 2.07, "MDDC": 2.00}),
        (500, {"EDD": 64.8, "EDDC": 31.95, "MDD": 1.87, "MDDC": 1.82}),
    ],
)
def test_mean_gaps_of_the_paper(n, expected):
    data = json.loads((SMTT / f"n{n}.json").read_text())
    one = np.ones(n, dtype=np.int64)
    for name, gap in expected.items():
        gaps = []
        for entry in data:
            p, d = np.array(entry["p"]), np.array(entry["d"])
            if entry["optimum"]:
                value = local.cost(p, one, d, sequence(name, p, d))
                gaps.append(100 * (value / entry["optimum"] - 1))
        assert np.mean(gaps) == pytest.approx(gap, abs=0.1 if gap > 10 else 0.006)
