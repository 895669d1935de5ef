"""The checker: every rule by hand, then thousands of schedules against a walk through time."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import brute_force
import numpy as np
import pytest

from optsched import InputError, JobShop, JobShopSolution


def kinds(problem: JobShop, start: list[int], machine: list[int] | None = None) -> list[str]:
    """Return the kinds of violations; machines default to each operation's first."""
    if machine is None:
        machine = problem.alt_machine[problem.alt_offset[:-1]].tolist()
    return sorted({v.kind for v in problem.check(JobShopSolution(start, machine))})


ONE = [[(0, 3), (1, 2)]]
TWO = [[(0, 3), (1, 2)], [(1, 4), (0, 1)]]


# ---- shape, eligibility, start ------------------------------------------------------------


def test_feasible_schedule_has_no_violation() -> None:
    assert kinds(JobShop(TWO), [0, 4, 0, 4]) == []


@pytest.mark.parametrize(("start", "machine"), [([0, 4, 0], [0, 1, 1, 0]), ([0, 4, 0, 4], [0, 1])])
def test_wrong_length_is_one_violation_of_shape(start: list[int], machine: list[int]) -> None:
    violations = JobShop(TWO).check(JobShopSolution(start, machine))
    assert [v.kind for v in violations] == ["shape"]
    assert "4 operations" in str(violations[0])


@pytest.mark.parametrize("machine", [1, -1, 7, 2**40])
def test_machine_that_is_not_eligible(machine: int) -> None:
    violations = JobShop(ONE).check(JobShopSolution([0, 3], [machine, 1]))
    assert [v.kind for v in violations] == ["eligibility"]
    assert "job 0, operation 0" in str(violations[0])


def test_flexible_operation_runs_on_each_of_its_machines_with_its_own_duration() -> None:
    shop = JobShop([[[(0, 3), (2, 5)], (1, 2)]])
    assert kinds(shop, [0, 3], [0, 1]) == []
    assert kinds(shop, [0, 5], [2, 1]) == []
    assert kinds(shop, [0, 4], [2, 1]) == ["precedence"]
    assert kinds(shop, [0, 5], [1, 1]) == ["eligibility"]


@pytest.mark.parametrize("start", [-1, -(2**53)])
def test_start_that_is_no_time(start: int) -> None:
    solution = JobShopSolution(np.array([start, 3]), [0, 1])
    assert {v.kind for v in JobShop(ONE).check(solution)} == {"start"}


def test_start_beyond_2_to_the_53_is_refused_at_once() -> None:
    with pytest.raises(InputError, match=r"start.*2\^53"):
        JobShopSolution(np.array([2**53 + 1, 3]), [0, 1])


def test_every_violation_is_named() -> None:
    shop = JobShop([[(0, 3), (1, 2)]] * 3, release=[1, 0, 0], deadline=[None, 4, None])
    violations = shop.check(JobShopSolution([0, 1, 0, 3, 0, 3], [0, 1] * 3))
    found = Counter(v.kind for v in violations)
    assert found["release"] == 1
    assert found["precedence"] == 1
    assert found["deadline"] == 1
    assert found["machine"] >= 3
    assert all("job" in str(v) for v in violations)


# ---- rules of the job ---------------------------------------------------------------------


def test_release() -> None:
    shop = JobShop(ONE, release=[2])
    assert kinds(shop, [2, 5]) == []
    assert kinds(shop, [1, 5]) == ["release"]


def test_precedence() -> None:
    assert kinds(JobShop(ONE), [0, 3]) == []
    assert kinds(JobShop(ONE), [0, 2]) == ["precedence"]
    assert kinds(JobShop(ONE), [5, 0]) == ["precedence"]


def test_precedence_binds_operations_of_no_duration() -> None:
    shop = JobShop([[(0, 0), (1, 0)]])
    assert kinds(shop, [4, 4]) == []
    assert kinds(shop, [4, 3]) == ["precedence"]


def test_lag() -> None:
    shop = JobShop(ONE, lags=[[2, 0]])
    assert kinds(shop, [0, 5]) == []
    assert kinds(shop, [0, 4]) == ["precedence"]


def test_transport_depends_on_both_machines_and_adds_to_the_lag() -> None:
    shop = JobShop(
        [[[(0, 3), (2, 3)], (1, 2)]], transport=[[0, 2, 0], [9, 0, 9], [0, 1, 0]], lags=[[1, 0]]
    )
    assert kinds(shop, [0, 6], [0, 1]) == []
    assert kinds(shop, [0, 5], [0, 1]) == ["precedence"]
    assert kinds(shop, [0, 5], [2, 1]) == []
    assert kinds(shop, [0, 4], [2, 1]) == ["precedence"]


def test_transport_applies_on_one_machine_too_and_not_between_jobs() -> None:
    shop = JobShop([[(0, 1), (0, 1)], [(0, 1)]], transport=[[3]])
    assert kinds(shop, [0, 4, 1]) == []
    assert kinds(shop, [0, 3, 1]) == ["precedence"]


def test_deadline() -> None:
    shop = JobShop(TWO, deadline=[6, None])
    assert kinds(shop, [0, 4, 0, 40]) == []
    assert kinds(shop, [0, 5, 0, 4]) == ["deadline"]


def test_no_wait() -> None:
    shop = JobShop(ONE, buffers="no-wait")
    assert kinds(shop, [4, 7]) == []
    assert kinds(shop, [4, 8]) == ["no-wait"]
    assert kinds(shop, [4, 6]) == ["precedence"]


def test_no_wait_behind_lag_and_transport() -> None:
    shop = JobShop(ONE, buffers="no-wait", lags=[[2, 0]], transport=[[0, 1], [0, 0]])
    assert kinds(shop, [0, 6]) == []
    assert kinds(shop, [0, 7]) == ["no-wait"]


def test_no_wait_of_one_operation_only() -> None:
    shop = JobShop([[(0, 1), (1, 1), (2, 1)]], buffers=[["unlimited", "no-wait", "no-wait"]])
    assert kinds(shop, [0, 5, 6]) == []
    assert kinds(shop, [0, 5, 7]) == ["no-wait"]


def test_no_wait_counts_from_the_stretched_end() -> None:
    shop = JobShop(ONE, buffers="no-wait", calendars={0: [(1, 3)]}, resumable=True)
    assert kinds(shop, [0, 5]) == []
    assert kinds(shop, [0, 3]) == ["precedence"]
    assert kinds(shop, [0, 6]) == ["no-wait"]


# ---- one at a time on a machine -----------------------------------------------------------


def test_machine_overlap() -> None:
    shop = JobShop([[(0, 3)], [(0, 2)]])
    assert kinds(shop, [0, 3]) == []
    assert kinds(shop, [2, 0]) == []
    assert kinds(shop, [0, 2]) == ["machine"]
    assert kinds(shop, [0, 0]) == ["machine"]


def test_machine_overlap_with_one_that_is_not_the_neighbour() -> None:
    """The long operation swallows a short one and still holds the machine after it."""
    shop = JobShop([[(0, 10)], [(0, 1)], [(0, 1)]])
    violations = shop.check(JobShopSolution([0, 2, 5], [0, 0, 0]))
    assert len(violations) == 2
    assert all("job 0, operation 0" in str(v) for v in violations)


def test_same_times_on_different_machines_do_not_meet() -> None:
    assert kinds(JobShop([[[(0, 3), (1, 3)]], [(0, 3)]]), [0, 0], [1, 0]) == []


@pytest.mark.parametrize(("instant", "expected"), [(0, []), (1, ["machine"]), (3, []), (9, [])])
def test_no_duration_at_borders_and_inside(instant: int, expected: list[str]) -> None:
    shop = JobShop([[(0, 3)], [(0, 0)]])
    assert kinds(shop, [0, instant]) == expected


def test_no_duration_between_two_that_touch() -> None:
    shop = JobShop([[(0, 3)], [(0, 0)], [(0, 3)], [(0, 0)]])
    assert kinds(shop, [0, 3, 3, 3]) == []
    assert kinds(shop, [0, 4, 3, 3]) == ["machine"]


def test_reentrant_job_shares_its_machine_with_itself() -> None:
    shop = JobShop([[(0, 3), (0, 2)]])
    assert kinds(shop, [0, 3]) == []
    assert "machine" in kinds(shop, [0, 2])


# ---- blocking -----------------------------------------------------------------------------

# Job 0 waits on machine 0 from 3 until machine 1 is free at 5; job 1 wants machine 0.
BLOCKED = [[(0, 3), (1, 2)], [(1, 5)], [(0, 1)]]


def test_blocking_holds_the_machine_until_the_next_start() -> None:
    assert kinds(JobShop(BLOCKED), [0, 5, 0, 3]) == []
    blocked = JobShop(BLOCKED, buffers="none")
    assert kinds(blocked, [0, 5, 0, 5]) == []
    assert kinds(blocked, [0, 5, 0, 3]) == ["machine"]
    assert kinds(blocked, [0, 5, 0, 4]) == ["machine"]


def test_blocking_of_one_operation_only() -> None:
    shop = JobShop(BLOCKED, buffers=[["unlimited", "none"], ["none"], ["none"]])
    assert kinds(shop, [0, 5, 0, 3]) == []


def test_blocking_lets_go_when_the_job_leaves_for_transport() -> None:
    shop = JobShop(BLOCKED, buffers="none", transport=[[0, 1], [1, 0]])
    assert kinds(shop, [0, 5, 0, 4]) == []
    assert kinds(shop, [0, 5, 0, 3]) == ["machine"]


def test_blocking_keeps_out_operations_of_no_duration() -> None:
    shop = JobShop([[(0, 3), (1, 2)], [(1, 5)], [(0, 0)]], buffers="none")
    assert kinds(shop, [0, 5, 0, 5]) == []
    assert kinds(shop, [0, 5, 0, 0]) == []
    assert kinds(shop, [0, 5, 0, 4]) == ["machine"]


def test_blocking_operation_of_no_duration_holds_its_machine() -> None:
    shop = JobShop([[(0, 0), (1, 2)], [(1, 5)], [(0, 1)]], buffers="none")
    assert kinds(shop, [0, 5, 0, 5]) == []
    assert kinds(shop, [0, 5, 0, 2]) == ["machine"]


def test_last_operation_blocks_nobody() -> None:
    assert kinds(JobShop([[(0, 1)], [(0, 1)]], buffers="none"), [0, 1]) == []


# ---- swaps --------------------------------------------------------------------------------


def ring(size: int, **options: Any) -> JobShop:
    """Return jobs of which each goes on to the machine of the next, without buffers."""
    jobs = [[(j, 2), ((j + 1) % size, 2)] for j in range(size)]
    return JobShop(jobs, buffers="none", **options)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_jobs_in_a_ring_may_only_move_together_with_swap(size: int) -> None:
    start = [0, 2] * size
    assert kinds(ring(size), start) == ["swap"]
    assert kinds(ring(size, swap=True), start) == []
    assert kinds(JobShop([[(j, 2), ((j + 1) % size, 2)] for j in range(size)]), start) == []


def test_swap_names_its_jobs() -> None:
    [violation] = ring(3).check(JobShopSolution([0, 2] * 3, [0, 1, 1, 2, 2, 0]))
    assert "jobs 0, 1, 2" in str(violation)


def test_one_buffer_in_the_ring_breaks_the_cycle() -> None:
    jobs = [[(j, 2), ((j + 1) % 3, 2)] for j in range(3)]
    buffers = [["none", "none"], ["unlimited", "none"], ["none", "none"]]
    assert kinds(JobShop(jobs, buffers=buffers), [0, 2] * 3) == []


def test_chain_at_one_instant_is_legal() -> None:
    """Job 2 leaves the shop; job 1 takes its machine, and job 0 that of job 1, all at 2."""
    shop = JobShop([[(0, 2), (1, 2)], [(1, 2), (2, 2)], [(2, 2)]], buffers="none")
    assert kinds(shop, [0, 2, 0, 2, 0]) == []


def test_two_rings_at_different_instants() -> None:
    shop = JobShop([[(0, 2), (1, 2)], [(1, 3), (0, 2)]], buffers="none")
    assert kinds(shop, [0, 3, 0, 3]) == ["swap"]
    assert kinds(shop, [0, 5, 2, 5]) == ["swap"]


def test_transport_makes_room_for_the_exchange() -> None:
    """Both jobs are on their way for one unit, so neither waits for the other's machine."""
    shop = JobShop([[(0, 2), (1, 2)], [(1, 2), (0, 2)]], buffers="none", transport=[[0, 1], [1, 0]])
    assert kinds(shop, [0, 3, 0, 3]) == []


def test_swap_through_an_operation_of_no_duration() -> None:
    """Job 0 passes machine 1 in no time, which job 1 still holds: a cycle all the same."""
    shop = JobShop([[(0, 2), (1, 0), (2, 2)], [(1, 2), (0, 2)]], buffers="none")
    assert kinds(shop, [0, 2, 2, 0, 2]) == ["swap"]


def test_operation_of_no_duration_elsewhere_makes_room() -> None:
    """Job 0 steps aside to machine 2, job 1 takes machine 0, job 0 goes on to machine 1."""
    shop = JobShop([[(0, 2), (2, 0), (1, 2)], [(1, 2), (0, 2)]], buffers="none")
    assert kinds(shop, [0, 2, 2, 0, 2]) == []


def test_operation_of_no_duration_in_a_legal_chain() -> None:
    shop = JobShop([[(0, 2), (1, 0), (2, 2)], [(1, 2)], [(0, 2)]], buffers="none")
    assert kinds(shop, [0, 2, 2, 0, 2]) == []


def test_a_job_that_stays_on_its_machine_swaps_with_nobody() -> None:
    shop = JobShop([[(0, 2), (0, 3), (1, 1)]], buffers="none")
    assert kinds(shop, [0, 2, 5]) == []
    assert kinds(shop, [0, 4, 7]) == []  # it waits on its own machine in between


def test_a_job_that_returns_to_its_machine() -> None:
    shop = JobShop([[(0, 2), (1, 3), (0, 1)]], buffers="none")
    assert kinds(shop, [0, 2, 5]) == []


# ---- calendars ----------------------------------------------------------------------------

BREAKS = {0: [(3, 5), (8, 10)]}


@pytest.mark.parametrize(
    ("begin", "expected"),
    [
        (0, []),  # ends exactly where the break begins
        (1, ["calendar"]),  # runs into it
        (3, ["calendar"]),  # starts with it
        (4, ["calendar"]),  # starts within it
        (5, []),  # starts where it ends, ends where the next begins
        (6, ["calendar"]),
        (9, ["calendar"]),
        (10, []),
    ],
)
def test_calendar_of_what_cannot_be_interrupted(begin: int, expected: list[str]) -> None:
    assert kinds(JobShop([[(0, 3)]], calendars=BREAKS), [begin]) == expected


def test_calendar_swallowed_by_a_long_operation() -> None:
    assert kinds(JobShop([[(0, 20)]], calendars=BREAKS), [0]) == ["calendar"]


@pytest.mark.parametrize(
    ("begin", "duration", "end"),
    [
        (0, 3, 3),  # ends exactly where the break begins
        (0, 4, 6),  # spans one break
        (0, 6, 8),  # ends where the second begins
        (0, 7, 11),  # spans two
        (2, 5, 11),
        (5, 3, 8),
        (5, 4, 11),
        (10, 4, 14),
        (7, 1, 8),
        (1, 0, 1),
    ],
)
def test_resumable_operation_is_stretched(begin: int, duration: int, end: int) -> None:
    shop = JobShop([[(0, duration)]], calendars=BREAKS, resumable=True)
    assert kinds(shop, [begin]) == []
    assert shop.completion(JobShopSolution([begin], [0])).tolist() == [end]
    assert shop.objective(JobShopSolution([begin], [0])) == end


@pytest.mark.parametrize("begin", [3, 4, 8, 9])
def test_resumable_operation_starts_outside_breaks(begin: int) -> None:
    assert kinds(JobShop([[(0, 2)]], calendars=BREAKS, resumable=True), [begin]) == ["calendar"]


@pytest.mark.parametrize("resumable", [False, True])
@pytest.mark.parametrize(("begin", "expected"), [(3, []), (4, ["calendar"]), (5, []), (8, [])])
def test_no_duration_at_breaks(begin: int, expected: list[str], resumable: bool) -> None:
    shop = JobShop([[(0, 0)]], calendars=BREAKS, resumable=resumable)
    assert kinds(shop, [begin]) == expected


def test_touching_breaks_are_one() -> None:
    shop = JobShop([[(0, 0)]], calendars={0: [(5, 7), (3, 5), (4, 6)]})
    assert shop.break_start.tolist() == [3]
    assert shop.break_end.tolist() == [7]
    assert kinds(shop, [5]) == ["calendar"]


def test_resumable_operation_holds_its_machine_in_the_break() -> None:
    shop = JobShop([[(0, 4)], [(0, 0)], [(0, 2)]], calendars=BREAKS, resumable=True)
    assert kinds(shop, [0, 0, 6]) == []
    assert kinds(shop, [0, 3, 6]) == ["machine"]
    assert kinds(shop, [0, 0, 5]) == ["machine"]


def test_breaks_of_another_machine_do_not_matter() -> None:
    shop = JobShop([[[(0, 3), (1, 3)]]], calendars=BREAKS)
    assert kinds(shop, [2], [1]) == []
    assert kinds(shop, [2], [0]) == ["calendar"]


def test_blocked_job_may_stay_on_its_machine_over_a_break() -> None:
    shop = JobShop([[(0, 3), (1, 1)]], calendars=BREAKS, buffers="none")
    assert kinds(shop, [0, 7]) == []


# ---- setups -------------------------------------------------------------------------------

SETUP = [[0, 2, 0], [5, 0, 0], [1, 1, 3]]


def test_setup_depends_on_the_sequence() -> None:
    shop = JobShop([[(0, 3)], [(0, 2)], [(1, 1)]], setup=SETUP)
    assert kinds(shop, [0, 5, 0]) == []
    assert kinds(shop, [0, 4, 0]) == ["setup"]
    assert kinds(shop, [7, 0, 0]) == []
    assert kinds(shop, [6, 0, 0]) == ["setup"]


def test_setup_depends_on_the_machine() -> None:
    shop = JobShop([[[(0, 3), (1, 3)]], [[(0, 2), (1, 2)]]],
                   setup=[[[0, 2], [0, 0]], [[0, 1], [0, 0]]])  # fmt: skip
    assert kinds(shop, [0, 4], [1, 1]) == []
    assert kinds(shop, [0, 4], [0, 0]) == ["setup"]
    assert kinds(shop, [0, 0], [0, 1]) == []


def test_setup_is_between_direct_neighbours_only() -> None:
    """From job 0 to job 1 the setup is 2, but job 2 runs in between: 0 to it, 1 from it."""
    shop = JobShop([[(0, 3)], [(0, 2)], [(0, 0)]], setup=SETUP)
    assert kinds(shop, [0, 4, 3]) == []
    assert kinds(shop, [0, 3, 3]) == ["setup"]


def test_setup_of_a_job_behind_itself() -> None:
    shop = JobShop([[(1, 1)], [(1, 1)], [(0, 1), (0, 1)]], setup=SETUP)
    assert kinds(shop, [0, 3, 0, 4]) == []
    assert kinds(shop, [0, 3, 0, 3]) == ["setup"]


def test_setup_counts_from_the_departure_of_a_blocked_job() -> None:
    shop = JobShop([[(0, 3), (1, 2)], [(1, 5), (2, 1)], [(0, 1)]], buffers="none", setup=[
        [0, 0, 2], [0, 0, 0], [0, 0, 0]])  # fmt: skip
    assert kinds(shop, [0, 5, 0, 5, 7]) == []
    assert kinds(shop, [0, 5, 0, 5, 6]) == ["setup"]


@pytest.mark.parametrize("setup", [[[0, 2], [0, 0]], [[0, 0], [2, 0]]])
def test_setup_between_operations_of_no_duration_at_one_instant(setup: list[list[int]]) -> None:
    """Either may go first, so the schedule stands when one of the two orders needs no setup."""
    assert kinds(JobShop([[(0, 0)], [(0, 0)]], setup=setup), [1, 1]) == []


def test_setup_both_ways_between_operations_of_no_duration() -> None:
    assert kinds(JobShop([[(0, 0)], [(0, 0)]], setup=[[0, 1], [1, 0]]), [1, 1]) == ["setup"]


# ---- objectives ---------------------------------------------------------------------------

# Jobs end at 6 and 5.
PLAN = JobShopSolution([0, 4, 0, 4], [0, 1, 1, 0])


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({}, 6),
        ({"objective": "makespan", "weight": [9, 9]}, 6),
        ({"objective": "total_completion_time"}, 11),
        ({"objective": "total_completion_time", "weight": [2, 3]}, 27),
        ({"objective": "total_completion_time", "weight": [0, 3], "release": [0, 0]}, 15),
        ({"objective": "total_weighted_tardiness", "due": [4, 2], "weight": [5, 2]}, 16),
        ({"objective": "total_weighted_tardiness", "due": [4, 9], "weight": [5, 2]}, 10),
        ({"objective": "total_weighted_tardiness", "due": [6, 5]}, 0),
        ({"objective": "total_weighted_tardiness", "due": [-2, 5]}, 8),
        ({"objective": "maximum_lateness", "due": [4, 2]}, 3),
        ({"objective": "maximum_lateness", "due": [10, 20]}, -4),
        ({"objective": "maximum_lateness", "due": [10, 20], "weight": [7, 7]}, -4),
    ],
)
def test_objective_by_hand(options: dict[str, Any], value: int) -> None:
    problem = JobShop(TWO, **options)
    assert problem.check(PLAN) == []
    assert problem.objective(PLAN) == value
    assert type(problem.objective(PLAN)) is int


def test_makespan_counts_every_operation_even_of_a_broken_schedule() -> None:
    assert JobShop(ONE).objective(JobShopSolution([50, 0], [0, 1])) == 53


def test_objective_of_something_else_is_an_input_error() -> None:
    with pytest.raises(InputError, match="entries"):
        JobShop(TWO).objective(JobShopSolution([0], [0]))
    with pytest.raises(InputError, match=r"job 0, operation 0.*not eligible"):
        JobShop(ONE).objective(JobShopSolution([0, 3], [1, 1]))


def test_large_objectives_do_not_wrap_round() -> None:
    """What does not fit into 2^53 is refused; what is accepted is computed exactly."""
    try:
        problem = JobShop([[(0, 2**40)]], objective="total_completion_time", weight=[2**40])
    except InputError:
        return
    assert problem.objective(JobShopSolution([0], [0])) == 2**80


# ---- against a walk through time ----------------------------------------------------------


def tie_with_setup(shop: brute_force.Shop, start: list[int], machine: list[int]) -> bool:
    """Return whether two operations hold the same machine for no time at the same instant.

    With setups the order of the two matters, and has a test of its own above.
    """
    if "setup" not in shop or brute_force.kinds(shop, start, machine) & {"eligibility", "start"}:
        return False
    plan = brute_force.Schedule(shop, start, machine)
    passing = [(plan.machine[o], plan.start[o]) for o in plan.ops
               if plan.departure(o) == plan.start[o]]  # fmt: skip
    return len(set(passing)) < len(passing)


@pytest.mark.parametrize("seed", range(4))
def test_verdict_agrees_with_a_walk_through_time(seed: int) -> None:
    """Thousands of schedules with every mix of features: feasible or not, and by which rule."""
    rng = random.Random(seed)
    seen: Counter[str] = Counter()
    for _ in range(700):
        shop = brute_force.random_full_shop(rng)
        problem = JobShop(**shop)
        for start, machine in brute_force.random_schedules(shop, rng, 3):
            if tie_with_setup(shop, start, machine):
                continue
            expected = brute_force.kinds(shop, start, machine)
            solution = JobShopSolution(start, machine)
            found = {v.kind for v in problem.check(solution)}
            told = f"{shop}\nstart {start}, machine {machine}"
            assert bool(found) == bool(expected), (
                f"the checker says {found or 'feasible'}, the definition {expected or 'feasible'}"
                f":\n{told}"
            )
            # Setups and swaps are only looked at where nothing else is wrong, and what starts
            # within a break has no defined end for the other rules to look at.
            if "calendar" not in expected:
                assert found - {"setup", "swap"} == expected - {"swap or setup"}, told
            seen.update(expected or {"feasible"})
    wanted = {"feasible", "eligibility", "start", "release", "precedence", "no-wait", "deadline",
              "calendar", "machine", "swap or setup"}  # fmt: skip
    assert {kind for kind in wanted if seen[kind] < 5} == set(), seen
    assert seen["feasible"] > 300


@pytest.mark.parametrize("seed", range(2))
def test_objective_agrees_with_its_definition(seed: int) -> None:
    rng = random.Random(100 + seed)
    for _ in range(300):
        shop = brute_force.random_full_shop(rng)
        shop["objective"] = rng.choice(brute_force.OBJECTIVES)
        shop["due"] = [rng.randint(-3, 15) for _ in shop["jobs"]]
        shop["weight"] = [rng.randint(0, 5) for _ in shop["jobs"]]
        problem = JobShop(**shop)
        for start, machine in brute_force.random_schedules(shop, rng, 2):
            expected = brute_force.kinds(shop, start, machine)
            # A job's last operation is its last to end only where precedence holds, and the end
            # is only defined for what starts outside breaks.
            if not expected & {"eligibility", "start", "precedence", "calendar"}:
                value = brute_force.objective(shop, start, machine)
                assert problem.objective(JobShopSolution(start, machine)) == value, (shop, start)
