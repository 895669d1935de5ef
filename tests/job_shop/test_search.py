"""The job shop's search against evaluations from scratch and known optima."""

from __future__ import annotations

import itertools
from random import Random

import brute_force
import numpy as np
import pytest

from optsched.core import CannotExpressError, Deadline
from optsched.problems.job_shop import bounds, edge_finding, search, tabu
from optsched.problems.job_shop import kernels as K
from optsched.problems.job_shop.problem import JobShop, JobShopSolution
from optsched.problems.job_shop.shop import Shop
from optsched.result import StopReason
from optsched.session import Session

# Fisher and Thompson (1963): optimum 55.
FT06 = [
    [(2, 1), (0, 3), (1, 6), (3, 7), (5, 3), (4, 6)],
    [(1, 8), (2, 5), (4, 10), (5, 10), (0, 10), (3, 4)],
    [(2, 5), (3, 4), (5, 8), (0, 9), (1, 1), (4, 7)],
    [(1, 5), (0, 5), (2, 5), (3, 3), (4, 8), (5, 9)],
    [(2, 9), (1, 3), (4, 5), (5, 4), (0, 3), (3, 1)],
    [(1, 3), (3, 3), (5, 9), (0, 10), (4, 4), (2, 1)],
]
# Fisher and Thompson (1963): optimum 930.
FT10 = """0 29 1 78 2 9 3 36 4 49 5 11 6 62 7 56 8 44 9 21
0 43 2 90 4 75 9 11 3 69 1 28 6 46 5 46 7 72 8 30
1 91 0 85 3 39 2 74 8 90 5 10 7 12 6 89 9 45 4 33
1 81 2 95 0 71 4 99 6 9 8 52 7 85 3 98 9 22 5 43
2 14 0 6 1 22 5 61 3 26 4 69 8 21 7 49 9 72 6 53
2 84 1 2 5 52 3 95 8 48 9 72 0 47 6 65 4 6 7 25
1 46 0 37 3 61 2 13 6 32 5 21 9 32 8 89 7 30 4 55
2 31 0 86 1 46 5 74 4 32 6 88 8 19 9 48 7 36 3 79
0 76 1 69 3 76 5 51 2 85 9 11 6 40 7 89 4 26 8 74
1 85 0 13 2 61 6 7 8 64 9 76 5 47 3 52 4 90 7 45"""
# Lawrence (1984), la01 to la05: optima 666, 655, 597, 590, 593.
LA = {
    666: """1 21 0 53 4 95 3 55 2 34
0 21 3 52 4 16 2 26 1 71
3 39 4 98 1 42 2 31 0 12
1 77 0 55 4 79 2 66 3 77
0 83 3 34 2 64 1 19 4 37
1 54 2 43 4 79 0 92 3 62
3 69 4 77 1 87 2 87 0 93
2 38 0 60 1 41 3 24 4 83
3 17 1 49 4 25 0 44 2 98
4 77 3 79 2 43 1 75 0 96""",
    655: """0 20 3 87 1 31 4 76 2 17
4 25 2 32 0 24 1 18 3 81
1 72 2 23 4 28 0 58 3 99
2 86 1 76 4 97 0 45 3 90
4 27 0 42 3 48 2 17 1 46
1 67 0 98 4 48 3 27 2 62
4 28 1 12 3 19 0 80 2 50
1 63 0 94 2 98 3 50 4 80
4 14 0 75 2 50 1 41 3 55
4 72 2 18 1 37 3 79 0 61""",
    597: """1 23 2 45 0 82 4 84 3 38
2 21 1 29 0 18 4 41 3 50
2 38 3 54 4 16 0 52 1 52
4 37 0 54 2 74 1 62 3 57
4 57 0 81 1 61 3 68 2 30
4 81 0 79 1 89 2 89 3 11
3 33 2 20 0 91 4 20 1 66
4 24 1 84 0 32 2 55 3 8
4 56 0 7 3 54 2 64 1 39
4 40 1 83 0 19 2 8 3 7""",
    590: """0 12 2 94 3 92 4 91 1 7
1 19 3 11 4 66 2 21 0 87
1 14 0 75 3 13 4 16 2 20
2 95 4 66 0 7 3 7 1 77
1 45 3 6 4 89 0 15 2 34
3 77 2 20 0 76 4 88 1 53
2 74 1 88 0 52 3 27 4 9
1 88 3 69 0 62 4 98 2 52
2 61 4 9 0 62 1 52 3 90
2 54 4 5 3 59 1 15 0 88""",
    593: """1 72 0 87 4 95 2 66 3 60
4 5 3 35 0 48 2 39 1 54
1 46 3 20 2 21 0 97 4 55
0 59 3 19 4 46 1 34 2 37
4 23 2 73 3 25 1 24 0 28
3 28 0 45 4 5 1 78 2 83
0 53 3 71 1 37 4 29 2 12
4 12 2 87 3 33 1 55 0 38
2 49 3 83 1 40 0 48 4 7
2 65 3 17 0 90 4 27 1 23""",
}


def parse(text: str) -> JobShop:
    rows = [[int(word) for word in line.split()] for line in text.splitlines()]
    return JobShop([list(zip(row[::2], row[1::2], strict=True)) for row in rows])


def random_shop(seed: int, *, reentrant: bool = True, zeros: bool = True) -> JobShop:
    random = np.random.default_rng(seed)
    n_jobs, n_machines = int(random.integers(2, 9)), int(random.integers(1, 6))
    jobs = []
    for _ in range(n_jobs):
        if reentrant:
            route = random.integers(0, n_machines, int(random.integers(1, 9))).tolist()
        else:
            route = random.permutation(n_machines).tolist()
        low = 0 if zeros else 1
        jobs.append([(m, int(d)) for m, d in zip(route, random.integers(low, 9, len(route)))])  # noqa: B905
    options = {}
    if seed % 3 == 1:
        options["release"] = random.integers(0, 15, n_jobs)
        options["lags"] = [[*random.integers(0, 5, len(job) - 1).tolist(), 0] for job in jobs]
        options["transport"] = random.integers(0, 4, (n_machines, n_machines))
    if seed % 4 == 2:
        options["objective"] = "maximum_lateness"
        options["due"] = random.integers(5, 60, n_jobs)
    return JobShop(jobs, n_machines=n_machines, **options)


def from_scratch(shop: Shop) -> tuple[np.ndarray, np.ndarray, int]:
    """Return ends, tails and longest path of the loaded machine sequences, by plain recursion."""
    ix, tm = shop.ix, shop.tm
    nobody = ix.shape[1] - 1
    nodes = shop.node.tolist()
    real = set(nodes)
    end = {i: int(tm[K.END, i]) for i in range(nobody) if i not in real}
    end[nobody] = 0
    tail = {i: int(tm[K.TAIL, i]) for i in range(nobody) if i not in real}
    tail[nobody] = 0
    todo = nodes[:]
    while todo:  # a cycle would loop without progress
        rest = []
        for i in todo:
            before = int(ix[K.MP, i])
            if i - 1 in end and before in end:
                end[i] = max(end[i - 1] + int(tm[K.GAP, i - 1]), end[before]) + int(tm[K.P, i])
            else:
                rest.append(i)
        assert len(rest) < len(todo), "cycle"
        todo = rest
    todo = nodes[::-1]
    while todo:
        rest = []
        for i in todo:
            after = int(ix[K.MS, i])
            if i + 1 in tail and after in tail:
                tail[i] = max(tail[i + 1] + int(tm[K.GAP, i]), tail[after]) + int(tm[K.P, i])
            else:
                rest.append(i)
        assert len(rest) < len(todo), "cycle"
        todo = rest
    longest = max(end[int(i)] + tail[int(i) + 1] for i in shop.last)
    return np.array([end[i] for i in nodes]), np.array([tail[i] for i in nodes]), longest


def assert_consistent(shop: Shop) -> None:
    end, tail, longest = from_scratch(shop)
    assert np.array_equal(shop.tm[K.END, shop.node], end)
    assert np.array_equal(shop.tm[K.TAIL, shop.node], tail)
    assert shop.ctl[K.C_CURRENT] == longest
    order = shop.ix[K.ORDER, : shop.problem.n_ops]
    assert np.array_equal(shop.ix[K.POS, order], np.arange(len(order)))
    assert np.array_equal(np.sort(order), shop.node)
    pos = shop.ix[K.POS].astype(np.int64)
    for i in order.tolist():
        for before in (i - 1, int(shop.ix[K.MP, i])):
            assert before not in shop.node or pos[before] < pos[i]
    assert not shop.ix[K.MARK].any()


def test_10000_moves_of_the_search_keep_times_exact_and_schedules_valid():
    moves = 0
    for seed in itertools.count():
        problem = random_shop(seed)
        shop = Shop(problem, seed)
        shop.begin(shop.dispatch(0.5), 10**9)
        for _ in range(100):
            before = shop.ix[K.ORDER].copy()
            assert shop.search(1, -1) == 1
            moves += not np.array_equal(before, shop.ix[K.ORDER])
            end, tail, longest = from_scratch(shop)
            assert np.array_equal(shop.tm[K.END, shop.node], end)
            assert np.array_equal(shop.tm[K.TAIL, shop.node], tail)
            assert shop.ctl[K.C_CURRENT] == longest >= shop.best
        assert_consistent(shop)
        for order, value in (
            (shop.ix[K.ORDER, : problem.n_ops].copy(), longest),
            (shop.best_order(), shop.best),
        ):
            solution = shop.solution(order)
            assert problem.check(solution) == []
            assert problem.objective(solution) == value - shop.offset
            assert shop.load(shop.order(solution)) == value
        if moves >= 10_000:
            break


def test_random_shifts_refuse_exactly_the_cycles():
    random = np.random.default_rng(0)
    refused = made = 0
    for seed in range(60):
        shop = Shop(random_shop(seed), seed)
        shop.load(shop.dispatch(1.0))
        n = shop.problem.n_ops
        for _ in range(60):
            u = int(random.choice(shop.node))
            behind = []
            w = int(shop.ix[K.MS, u])
            while w != shop.ix.shape[1] - 1:
                behind.append(w)
                w = int(shop.ix[K.MS, w])
            if not behind:
                continue
            v = int(random.choice(behind))
            ix = shop.ix.copy()
            if random.random() < 0.5:
                cyclic = reaches(shop, u + 1, v)
                moved = K.shift_right(shop.ix, np.uint64(u), np.uint64(v))
            else:
                cyclic = reaches(shop, u, v - 1)
                moved = K.shift_left(shop.ix, np.uint64(u), np.uint64(v))
            assert bool(moved) is not cyclic
            if moved:
                made += 1
                K.heads(shop.ix, shop.tm, 0, n)
                K.tails(shop.ix, shop.tm, n - 1)
                shop.ctl[K.C_CURRENT] = K.longest(shop.tm, shop.last)
                assert_consistent(shop)
            else:
                refused += 1
                for row in (K.MS, K.MP, K.ORDER, K.POS, K.MARK):
                    assert np.array_equal(ix[row], shop.ix[row])
    assert made > 500
    assert refused > 100


def reaches(shop: Shop, a: int, b: int) -> bool:
    """Whether there is a path from node `a` to node `b`, trivial ones included."""
    real = set(shop.node.tolist())
    stack, seen = [a], set()
    while stack:
        i = stack.pop()
        if i not in real or i in seen:
            continue
        if i == b:
            return True
        seen.add(i)
        stack += [i + 1, int(shop.ix[K.MS, i])]
    return False


def test_estimates_are_what_theory_says():
    """Exact for neighbours; for longer moves, the path through old times of all others."""
    random = np.random.default_rng(1)
    exact = longer = 0
    for seed in range(120):
        shop = Shop(random_shop(seed, reentrant=seed % 2 == 0), seed)
        shop.load(shop.dispatch(1.0))
        ix, tm = shop.ix, shop.tm
        for _ in range(30):
            u = int(random.choice(shop.node))
            block = [u]
            while ix[K.MS, block[-1]] != ix.shape[1] - 1 and len(block) < 5:
                block.append(int(ix[K.MS, block[-1]]))
            if len(block) < 2:
                continue
            for k, w in enumerate(block):
                tm[K.BLOCK_HEAD, k] = tm[K.END, w - 1] + tm[K.GAP, w - 1]
                tm[K.BLOCK_TAIL, k] = tm[K.TAIL, w + 1] + tm[K.GAP, w]
                tm[K.BLOCK_P, k] = tm[K.P, w]
            start = int(tm[K.END, ix[K.MP, u]])
            rest = int(tm[K.TAIL, ix[K.MS, block[-1]]])
            left = random.random() < 0.5
            args = (tm, np.uint64(0), np.uint64(len(block) - 1), start, rest)
            estimate = tabu.estimate_left if left else tabu.estimate_right
            value = int(estimate(*args, K.FAR))
            assert min(estimate(*args, value - 1), value) == value  # cut off only above the cap
            sequence = [block[-1], *block[:-1]] if left else [*block[1:], u]
            if len(block) > 2:
                assert value == path_through(tm, sequence, start, rest)
                longer += 1
            a, z = int(ix[K.POS, u]), int(ix[K.POS, block[-1]])
            shift = K.shift_left if left else K.shift_right
            if not shift(ix, np.uint64(u), np.uint64(block[-1])):
                continue
            K.heads(ix, tm, a, shop.problem.n_ops)
            K.tails(ix, tm, z)
            if len(block) == 2:
                through = max(tm[K.END, w] + tm[K.TAIL, w] - tm[K.P, w] for w in block)
                assert value == through <= K.longest(tm, shop.last)
                exact += 1
    assert exact > 100
    assert longer > 500


def path_through(tm: np.ndarray, sequence: list[int], start: int, rest: int) -> int:
    """Return the longest path through `sequence`, with old times of everything around it."""
    best = 0
    for a in range(len(sequence)):
        for b in range(a, len(sequence)):
            first, final = sequence[a], sequence[b]
            head = int(tm[K.END, first - 1] + tm[K.GAP, first - 1])
            tail = int(tm[K.TAIL, final + 1] + tm[K.GAP, final])
            head = max(head, start) if a == 0 else head
            tail = max(tail, rest) if b == len(sequence) - 1 else tail
            inner = sum(int(tm[K.P, w]) for w in sequence[a : b + 1])
            best = max(best, head + inner + tail)
    return best


def test_relinking_yields_valid_schedules_nearer_to_the_guide():
    for seed in range(40):
        problem = random_shop(seed)
        shop = Shop(problem, seed)
        a, b = shop.dispatch(1.0), shop.dispatch(1.0)
        apart, child = shop.distance(a, b), shop.relink(a, b, 0.5)
        assert problem.check(shop.solution(child)) == []
        if apart >= 2:
            assert shop.distance(a, child) == apart // 2
            assert shop.distance(child, b) == apart - apart // 2
        assert shop.distance(shop.relink(a, b, 1.0), b) == 0


def solve(problem: JobShop, max_moves: int, seed: int = 1, **options: object) -> Session:
    session = Session(problem, Deadline())
    reason = search.run(problem, session, seed=seed, max_moves=max_moves, **options)
    assert reason is StopReason.STEPS
    return session


@pytest.mark.parametrize(
    ("problem", "optimum", "moves"),
    [(JobShop(FT06), 55, 20_000), (parse(FT10), 930, 2_000_000)]
    + [(parse(text), value, 100_000) for value, text in LA.items()],
    ids=["ft06", "ft10", "la01", "la02", "la03", "la04", "la05"],
)
def test_classics_reach_their_optimum(problem: JobShop, optimum: int, moves: int):
    assert solve(problem, moves).objective == optimum


def test_same_seed_and_moves_give_the_same_result():
    problem = parse(FT10)
    first, second, other = (solve(problem, 150_000, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.solution.start, second.solution.start)
    assert [e.objective for e in first.trace] == [e.objective for e in second.trace]
    assert not np.array_equal(first.solution.start, other.solution.start)


def test_slices_do_not_change_the_search():
    whole, sliced = Shop(parse(FT10), 5), Shop(parse(FT10), 5)
    for shop, moves in ((whole, 3000), (sliced, 7)):
        shop.begin(shop.dispatch(0.0), 10**9)
        made = 0
        while made < 3000:
            made += shop.search(min(moves, 3000 - made), 0)
    assert np.array_equal(whole.ix[K.ORDER], sliced.ix[K.ORDER])
    assert whole.best == sliced.best


def test_never_worse_than_the_start_and_takes_over_from_outside():
    problem = parse(LA[666])
    optimal = solve(problem, 100_000).solution
    assert solve(problem, 10, start=optimal).objective == 666
    session = Session(problem, Deadline())
    session.offer(optimal, "elsewhere")
    search.run(problem, session, seed=1, max_moves=10)
    assert session.objective == 666


def test_goes_on_from_what_others_find_meanwhile():
    """In the middle of a tabu search, and shifted to the left where there is room."""
    problem = JobShop(FT06)
    late = solve(problem, 100_000).solution
    late = JobShopSolution(late.start + 1, late.machine)  # 56: one more than necessary
    session = Session(problem, Deadline())
    driver = search._Driver(Shop(problem, 0), session, 0, max_moves=50)
    offer = session.offer

    def offer_and_be_beaten(*args: object, **options: object) -> bool:
        offer(*args, **options)
        return offer(late, "elsewhere")

    session.offer = offer_and_be_beaten  # type: ignore[method-assign]
    with pytest.raises(search._Stop):
        driver.run(None)
    assert [event.source for event in session.trace][:2] == ["dispatching", "elsewhere"]
    assert session.objective == 55


def test_stops_at_the_bound_and_at_the_deadline():
    session = Session(JobShop(FT06), Deadline(60))
    session.prove(55, "given")
    assert search.run(JobShop(FT06), session, seed=1) is StopReason.PROOF
    session = Session(parse(FT10), Deadline(0.3))
    assert search.run(parse(FT10), session, seed=1) is StopReason.TIME
    assert session.deadline.elapsed() < 1.0


def test_refuses_features_it_cannot_express():
    problem = JobShop([[(0, 1)], [(0, 2)]], setup=[[0, 1], [1, 0]])
    with pytest.raises(CannotExpressError, match="setup"):
        search.run(problem, Session(problem, Deadline(1)), seed=1)


def test_a_single_operation_and_shops_of_no_duration():
    for jobs in ([[(0, 3)]], [[(0, 0)], [(0, 0)]], [[(0, 0), (0, 0)], [(0, 0), (0, 0)]]):
        problem = JobShop(jobs)
        assert solve(problem, 100).objective == sum(d for _, d in itertools.chain(*jobs))


# ---- lower bounds -------------------------------------------------------------------------


def test_bounds_never_exceed_the_optimum():
    """For every objective, flexible or not, against every semi-active schedule."""
    random = Random(0)
    met = compared = 0
    while compared < 400:
        objective = random.choice(brute_force.OBJECTIVES)
        shop = brute_force.random_shop(
            random, objective=objective, flexible=random.random() < 0.5, side=random.random() < 0.5
        )
        optimum = brute_force.optimum(shop)
        if optimum is None:
            continue
        problem = JobShop(**shop)
        compared += 1
        bound = bounds.lower_bound(problem)
        assert bounds.job_bound(problem) <= bound <= optimum
        met += bound == optimum
    assert met > 100


def test_bounds_hold_for_shops_with_any_features():
    random = Random(1)
    compared = 0
    while compared < 300:
        shop = brute_force.random_full_shop(random)
        shop["objective"] = random.choice(brute_force.OBJECTIVES)
        shop["due"] = [random.randint(0, 12) for _ in shop["jobs"]]
        problem = JobShop(**shop)
        for start, machine in brute_force.random_schedules(shop, random, 3):
            if not brute_force.kinds(shop, start, machine):
                compared += 1
                objective = brute_force.objective(shop, start, machine)
                assert bounds.lower_bound(problem) <= objective


def test_bounds_of_classics():
    """Preemptive bound or better; 808 for ft10 is Carlier and Pinson's (1989)."""
    assert 54 <= bounds.lower_bound(JobShop(FT06)) <= 55
    assert 808 <= bounds.lower_bound(parse(FT10)) <= 930
    assert bounds.lower_bound(parse(LA[666])) == 666
    assert bounds.job_bound(parse(FT10)) == 655
    assert bounds.lower_bound(parse(FT10), Deadline(0)) <= 808


def test_bound_of_a_flexible_shop_shares_work_among_machines():
    jobs = [[[(0, 4), (1, 5)]], [[(0, 4), (1, 4)]], [[(0, 4), (1, 4)]], [[(2, 1)]]]
    assert bounds.lower_bound(JobShop(jobs)) == 6
    late = JobShop(jobs, objective="maximum_lateness", due=[1, 1, 1, 9])
    assert bounds.lower_bound(late) == 5


def test_preemptive_bound_is_the_length_of_jacksons_schedule():
    random = np.random.default_rng(2)
    for _ in range(300):
        n = int(random.integers(1, 8))
        head, duration, tail = random.integers(0, 20, (3, n))
        order = np.argsort(-head, kind="stable")
        value = edge_finding.preemptive(head[order], duration[order], tail[order], 1)
        assert value == jackson(head.tolist(), duration.tolist(), tail.tolist())


def jackson(head: list[int], duration: list[int], tail: list[int]) -> int:
    """Run, unit by unit, the operation at hand with the greatest tail."""
    left = duration[:]
    length = max(h + d + t for h, d, t in zip(head, duration, tail, strict=True))
    now = 0
    while any(left):
        at_hand = [i for i, rest in enumerate(left) if rest and head[i] <= now]
        now += 1
        if at_hand:
            i = max(at_hand, key=lambda i: tail[i])
            left[i] -= 1
            length = max(length, now + tail[i])
    return length
