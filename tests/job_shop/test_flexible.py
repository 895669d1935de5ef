"""Flexible shops: the tabu search's kernels against evaluation from scratch, and the LP bound."""

from __future__ import annotations

import itertools
from random import Random

import brute_force
import numpy as np
import pytest

from optsched.core import Deadline, InputError
from optsched.datasets import generators
from optsched.problems.job_shop import assignment, bounds, search
from optsched.problems.job_shop import flexible_kernels as fk
from optsched.problems.job_shop import kernels as K
from optsched.problems.job_shop.flexible import FlexibleShop
from optsched.problems.job_shop.problem import JobShop
from optsched.result import StopReason
from optsched.session import Session


def random_shop(seed: int, *, transport: bool = True) -> JobShop:
    """Return a small flexible shop with lags, releases, transport, due dates, zero durations."""
    rng = np.random.default_rng(seed)
    n_machines = int(rng.integers(2, 6))
    jobs, lags = [], []
    for _ in range(rng.integers(2, 9)):
        job = []
        for _ in range(rng.integers(1, 8)):
            machines = rng.permutation(n_machines)[: rng.integers(1, n_machines + 1)]
            job.append([(int(m), int(rng.integers(seed % 3 != 0, 20))) for m in machines])
        jobs.append(job)
        lags.append([int(rng.integers(0, 5)) for _ in job[1:]] + [0])
    options: dict[str, object] = {}
    if seed % 2:
        options["lags"] = lags
        options["release"] = rng.integers(0, 30, len(jobs)).tolist()
    if seed % 5 == 4:
        options["objective"] = "maximum_lateness"
        options["due"] = rng.integers(0, 90, len(jobs)).tolist()
    if transport and seed % 4 == 3:
        options["transport"] = rng.integers(0, 9, (n_machines, n_machines)).tolist()
    return JobShop(jobs, n_machines=n_machines, **options)


def assert_consistent(shop: FlexibleShop) -> None:
    """Compare links, sequences, order and times with what order and alternatives say."""
    problem, n = shop.problem, shop.problem.n_ops
    order = shop.ix[K.ORDER, :n].copy()
    chosen = shop.ix[fk.ALT, shop.node]
    assert np.array_equal(np.sort(order), shop.node)
    assert (chosen >= problem.alt_offset[:-1]).all()
    assert (chosen < problem.alt_offset[1:]).all()
    machine = problem.alt_machine[chosen]
    assert np.array_equal(shop.ix[K.MACHINE, shop.node], machine)
    assert np.array_equal(shop.tm[K.P, shop.node], problem.alt_duration[chosen])
    assert np.array_equal(shop.ix[K.POS, order], np.arange(n))
    seq, seq_at, count = shop.tables[4:7]
    op_of_node = dict(zip(shop.node.tolist(), range(n), strict=True))
    end = np.zeros(n, dtype=np.int64)
    free = [0] * problem.n_machines
    seen: list[list[int]] = [[] for _ in free]
    for node in order.tolist():
        op = op_of_node[node]
        job = int(problem.op_job[op])
        if op == problem.job_offset[job]:
            ready = int(problem.release[job])
        else:
            ready = int(end[op - 1] + problem.lag[op - 1])
            if problem.transport is not None:
                ready += int(problem.transport[machine[op - 1], machine[op]])
        m = int(machine[op])
        end[op] = max(ready, free[m]) + problem.alt_duration[chosen[op]]
        free[m] = int(end[op])
        seen[m].append(node)
    assert np.array_equal(shop.tm[K.END, shop.node], end)
    nobody = shop.ix.shape[1] - 1
    for m, nodes in enumerate(seen):
        assert seq[seq_at[m] : seq_at[m] + count[m]].tolist() == nodes
        assert shop.ix[fk.INDEX, nodes].tolist() == list(range(len(nodes)))
        for a, b in itertools.pairwise([nobody, *nodes, nobody]):
            assert a == nobody or shop.ix[K.MS, a] == b
            assert b == nobody or shop.ix[K.MP, b] == a
    assert not shop.ix[K.MARK].any()
    tails = shop.tm[K.TAIL].copy()
    K.tails(shop.ix, shop.tm, n - 1)
    assert np.array_equal(tails, shop.tm[K.TAIL])


def test_10000_moves_of_the_search_keep_times_exact_and_schedules_valid():
    moves = 0
    for seed in itertools.count():
        problem = random_shop(seed)
        if not problem.flexible:
            continue
        shop = FlexibleShop(problem, seed)
        shop.begin(shop.dispatch(0.5), 10**9)
        for _ in range(100):
            before = shop.ix[K.ORDER].copy(), shop.ix[fk.ALT].copy()
            assert shop.search(1, -1) == 1
            rows = shop.ix[K.ORDER], shop.ix[fk.ALT]
            moves += not all(map(np.array_equal, before, rows))
            assert_consistent(shop)
            assert shop.ctl[K.C_CURRENT] == K.longest(shop.tm, shop.last) >= shop.best
        current = shop._current(K.ORDER, fk.ALT), int(shop.ctl[K.C_CURRENT])
        for order, value in (current, (shop.best_order(), shop.best)):
            solution = shop.solution(order)
            assert problem.check(solution) == []
            assert problem.objective(solution) == value - shop.offset
            assert shop.load(shop.order(solution)) == value
        if moves >= 10_000:
            break


def test_any_reassignment_is_made_or_refused_for_a_cycle():
    """Every place of every other machine, also the silly ones."""
    random = np.random.default_rng(0)
    made = refused = 0
    for seed in range(80):
        problem = random_shop(seed)
        if not problem.flexible:
            continue
        shop = FlexibleShop(problem, seed)
        shop.load(shop.dispatch(1.0))
        for _ in range(60):
            v = int(random.choice(shop.node))
            first, last = shop.tables[0][v : v + 2].tolist()
            choices = [a for a in range(first, last) if a != shop.ix[fk.ALT, v]]
            if not choices:
                continue
            a = int(random.choice(choices))
            at = int(random.integers(0, shop.tables[6][problem.alt_machine[a]] + 1))
            kept = shop.ix.copy(), shop.tm.copy()
            cyclic = closes_cycle(shop, v, a, at)
            done = fk.reassign(
                shop.ix, shop.tm, shop.tables, shop.ctl, np.uint64(v), np.uint64(a), np.uint64(at)
            )
            assert bool(done) is not cyclic
            if done:
                made += 1
                assert_consistent(shop)
            else:
                refused += 1
                for row in (K.MS, K.MP, K.ORDER, K.POS, K.MARK, fk.ALT, K.MACHINE):
                    real = shop.node
                    assert np.array_equal(kept[0][row][real], shop.ix[row][real])
                assert np.array_equal(kept[1], shop.tm)
    assert made > 500
    assert refused > 100


def closes_cycle(shop: FlexibleShop, v: int, alternative: int, at: int) -> bool:
    """Whether job and machine arcs, with `v` in its new place, hold a cycle."""
    alt_machine, (seq, seq_at, count) = shop.tables[1], shop.tables[4:7]
    arcs: dict[int, list[int]] = {node: [] for node in shop.node.tolist()}
    for m in range(shop.problem.n_machines):
        nodes = [w for w in seq[seq_at[m] : seq_at[m] + count[m]].tolist() if w != v]
        if m == alt_machine[alternative]:
            nodes.insert(at, v)
        for a, b in itertools.pairwise(nodes):
            arcs[a].append(b)
    for node in arcs:
        if node + 1 in arcs:
            arcs[node].append(node + 1)
    into = dict.fromkeys(arcs, 0)
    for targets in arcs.values():
        for b in targets:
            into[b] += 1
    free = [node for node, n in into.items() if n == 0]
    gone = 0
    while free:
        gone += 1
        for b in arcs[free.pop()]:
            into[b] -= 1
            if into[b] == 0:
                free.append(b)
    return gone < len(arcs)


def test_estimates_are_the_longest_path_through_the_operation():
    """Exact where nothing before the new place depends on the operation, and it on nothing behind.

    Otherwise it is never too low: heads and tails of now are too long then.
    """
    random = np.random.default_rng(1)
    exact = over = 0
    for seed in range(300):
        problem = random_shop(seed, transport=False)
        if not problem.flexible:
            continue
        shop = FlexibleShop(problem, seed)
        shop.load(shop.dispatch(0.7))
        alt_at, alt_machine, alt_p, _, seq, seq_at, count = shop.tables[:7]
        end, tail = shop.tm[K.END], shop.tm[K.TAIL]
        for _ in range(10):
            v = int(random.choice(shop.node))
            choices = [a for a in range(*alt_at[v : v + 2].tolist()) if a != shop.ix[fk.ALT, v]]
            if not choices:
                continue
            a = int(random.choice(choices))
            m, p = int(alt_machine[a]), int(alt_p[a])
            head = int(end[v - 1] + shop.tm[fk.LAG, v - 1])
            rest = int(tail[v + 1] + shop.tm[fk.LAG, v])
            sequence = seq[seq_at[m] : seq_at[m] + count[m]]
            nodes = sequence.tolist()
            where = np.array([0, len(nodes), 0, len(nodes)], dtype=np.uint32)
            estimate, at = fk.best_place(end, tail, sequence, shop.rng, where, head, p, rest)
            places = []
            for k in range(len(nodes) + 1):
                begin = max(head, int(end[nodes[k - 1]]) if k else 0)
                after = max(rest, int(tail[nodes[k]]) if k < len(nodes) else 0)
                places.append(begin + p + after)
            assert estimate == places[int(at)]
            depends = reachable(shop, v)
            free = not any(w in depends for w in nodes[: int(at)])
            free = free and not any(v in reachable(shop, w) for w in nodes[int(at) :])
            args = (shop.ix, shop.tm, shop.tables, shop.ctl)
            if not fk.reassign(*args, np.uint64(v), np.uint64(a), np.uint64(at)):
                continue
            through = int(end[v] + tail[v]) - p
            assert through <= estimate
            if free:
                assert through == estimate
                exact += 1
            else:
                over += 1
    assert exact > 500
    assert over > 10


def reachable(shop: FlexibleShop, v: int) -> set[int]:
    """Return the nodes that depend on `v`."""
    real = set(shop.node.tolist())
    stack, seen = [v], set()
    while stack:
        for w in (stack[-1] + 1, int(shop.ix[K.MS, stack.pop()])):
            if w in real and w not in seen:
                seen.add(w)
                stack.append(w)
    return seen


def test_relinking_and_dispatching_yield_valid_schedules():
    for seed in range(60):
        problem = random_shop(seed)
        if not problem.flexible:
            continue
        shop = FlexibleShop(problem, seed)
        a, b = shop.dispatch(1.0), shop.dispatch(0.0)
        child = shop.relink(a, b, 0.5)
        for order in (a, b, child):
            assert problem.check(shop.solution(order)) == []
        n = problem.n_ops
        assert np.isin(child[n:], np.concatenate((a[n:], b[n:]))).all()
        assert shop.distance(a, a) == 0
        assert shop.distance(shop.relink(a, b, 1.0), b) == 0


def test_same_seed_gives_the_same_search():
    problem = random_shop(8)
    sessions = [Session(problem, Deadline()) for _ in range(2)]
    for session in sessions:
        reason = search.run(problem, session, seed=3, max_moves=20_000)
        assert reason in (StopReason.STEPS, StopReason.PROOF)
    first, second = sessions
    assert [e.objective for e in first.trace] == [e.objective for e in second.trace]
    assert np.array_equal(first.solution.start, second.solution.start)


def test_search_meets_brute_force_and_the_bounds_stay_below():
    random = Random(5)
    compared = 0
    while compared < 150:
        objective = random.choice(("makespan", "maximum_lateness"))
        shop = brute_force.random_shop(random, objective=objective, flexible=True, side=True)
        if shop.get("deadline") is not None:
            continue
        problem = JobShop(**shop)
        if not problem.flexible:
            continue
        optimum = brute_force.optimum(shop)
        compared += 1
        session = Session(problem, Deadline())
        bound = bounds.lower_bound(problem)
        assert bound <= optimum
        session.prove(bound, "bounds")
        search.run(problem, session, seed=compared, max_moves=5000)
        assert session.objective == optimum


@pytest.mark.parametrize("seed", range(30))
def test_relaxation_is_a_relaxation(seed: int):
    problem = random_shop(seed)
    relaxation = assignment.relax(problem)
    if not problem.flexible:
        assert relaxation is None
        return
    assert relaxation is not None
    share = np.add.reduceat(relaxation.share, problem.alt_offset[:-1])
    assert np.allclose(share, 1.0)
    if problem.objective_kind == "makespan":
        session = Session(problem, Deadline())
        search.run(problem, session, seed=0, max_moves=2000)
        assert relaxation.bound <= session.objective


def test_relaxation_of_unrelated_machines_is_exact_where_it_can_be():
    """Two machines, each fast for half the operations: the even split is optimal."""
    jobs = [[[(0, 10), (1, 30)]] for _ in range(4)] + [[[(0, 30), (1, 10)]] for _ in range(4)]
    relaxation = assignment.relax(JobShop(jobs))
    assert relaxation is not None
    assert relaxation.bound == 40
    assert relaxation.price == pytest.approx([0.5, 0.5], abs=0.3)
    late = JobShop(jobs, release=[100] * 8)
    assert bounds.lower_bound(late) == 140


def test_generator_of_long_flexible_shops_keeps_its_word():
    problem = generators.flexible_job_shop(20, 10, 30, 4, breakdowns="medium")
    assert problem == generators.flexible_job_shop(20, 10, 30, 4, breakdowns="medium")
    assert (problem.n_jobs, problem.n_machines, problem.n_ops) == (20, 10, 600)
    counts = np.diff(problem.alt_offset)
    assert (counts.min(), counts.max()) == (1, 10)
    assert (problem.alt_duration.min(), problem.alt_duration.max()) == (1, 99)
    broken = np.flatnonzero(np.diff(problem.break_offset))
    assert len(broken) == 4
    assert set((problem.break_end - problem.break_start).tolist()) == {100}
    for m in broken.tolist():
        first, last = problem.break_offset[m : m + 2]
        gaps = problem.break_start[first + 1 : last] - problem.break_end[first : last - 1]
        assert gaps.min() >= 175
        assert gaps.max() <= 300
    for wrong in ({"breakdowns": "some"}, {"durations": (5, 4)}, {"n_operations": 0}):
        with pytest.raises(InputError):
            generators.flexible_job_shop(
                **({"n_jobs": 2, "n_machines": 2, "n_operations": 2} | wrong)
            )
