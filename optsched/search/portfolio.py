"""A heuristic search and an exact prover side by side, feeding each other through one session.

The search finds; the prover refutes. Given an incumbent of value ``u``, the prover asks "is there
anything of at most ``u - 1``?". A no is the proof of optimality; what it finds on the way is a
better incumbent, which the search takes over. When the search is ahead of what the prover has
found, the prover starts again with the tighter question.

Where that takes long it turns for a while to cheaper questions from below (destructive
improvement of the lower bound, Klein and Scholl 1999): "anything of at most the bound?" A no
raises the bound, and the step grows. Of an instance that will hardly be solved to the end a
`patient` prover asks from both sides by turns, longer each time, to leave the least gap.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from enum import Enum

from optsched.core import Deadline, DeadlineExpired
from optsched.result import StopReason
from optsched.session import Session

#: Seconds for the question from above before those from below get their turn.
PATIENCE = 3.0
#: Seconds that one question from below may take, at most.
PROBE_LIMIT = 2.0
#: Share of the time limit for each of the two.
SHARE = 0.1
#: Seconds that the search may have alone at first, so that the first question is a good one.
HEAD_START = 0.5
#: Effort of the first turn, where search and prover share one core.
FIRST_TURN = 0.1


class Answer(Enum):
    """The answer to "is there a solution of at most the target?"."""

    NO = "no"  #: proven
    YES = "yes"  #: it has been offered to the session
    OPEN = "open"  #: stopped before an answer


#: ``ask(target, deadline, effort)``: the prover. It stops when the session does, when others have
#: found something better than what it can still find, at the deadline, and when it has spent
#: `effort` (deterministic seconds, about as long as real ones; None: no limit). After a yes it may
#: go on to better solutions. A target of None asks for any solution at all.
Ask = Callable[[int | None, Deadline, float | None], Answer]
#: ``search(effort)``: a heuristic search; it offers to the session until that stops, or until it
#: has spent `effort` (deterministic seconds as above; None: no limit).
Search = Callable[[float | None], object]


def run(
    session: Session,
    searches: Sequence[Search],
    ask: Ask,
    *,
    source: str,
    side_by_side: bool,
    patient: bool = False,
) -> StopReason:
    """Run searches and prover until proof or until the session stops.

    Parameters
    ----------
    session : Session
        Of a problem with an integral objective.
    searches : sequence of callable
        The heuristic searches, a thread each.
    ask : callable
        The prover; it runs in the calling thread, on the cores that it was made with.
    source : str
        Who proves, for the trace.
    side_by_side : bool
        Whether there are cores for all at once; otherwise they take turns.
    patient : bool
        Whether questions from below go on for the whole time.
    """
    prover = _Prover(session, ask, source, patient=patient)
    if not side_by_side:
        return _take_turns(session, searches[0], prover)

    threads = _start(session, searches)
    limit = session.deadline.limit
    head_start = Deadline(HEAD_START if limit is None else min(HEAD_START, 0.1 * limit))
    prover.probe_until(head_start)
    threads[0].join(head_start.remaining())
    while not session.stopped:
        prover.step()
    for thread in threads:
        thread.join(0.5)
    return StopReason.SOLVER


def run_alone(session: Session, searches: Sequence[Search]) -> StopReason:
    """Run searches side by side, a thread each, until they end or the session stops."""
    for thread in _start(session, searches):
        thread.join()
    return session.outcome(StopReason.STEPS)[1]


def _start(session: Session, searches: Sequence[Search]) -> list[threading.Thread]:
    def searching(search: Search) -> None:
        try:
            search(None)
        except DeadlineExpired:
            pass
        except BaseException as error:
            session.fail(error)

    threads = [
        threading.Thread(target=searching, args=(search,), daemon=True, name="optsched search")
        for search in searches
    ]
    for thread in threads:
        thread.start()
    return threads


def _take_turns(session: Session, search: Search, prover: _Prover) -> StopReason:
    """One core: search, prove, search, ... each turn twice as long as the one before.

    Turns are counted in deterministic effort and not in time, so that a run can be repeated.
    """
    turn = FIRST_TURN
    while not session.stopped:
        search(turn)
        if not session.stopped:
            prover.step(effort=turn)
        turn *= 2
    return StopReason.SOLVER


class _Prover:
    """Decides what to ask next, and draws the conclusions."""

    def __init__(self, session: Session, ask: Ask, source: str, *, patient: bool = False) -> None:
        self._session = session
        self._ask = ask
        self._source = source
        self._patient = patient
        self._probing = True
        self._step = 1
        self._asked = 0.0  # seconds, from above
        self._probed = 0.0  # seconds, from below
        # Seconds of one question from below.
        self._most = 2 * PROBE_LIMIT if patient else PROBE_LIMIT
        self._turn = self._budget(PATIENCE)  # what `_asked` may come to before the next from below

    def probe_until(self, until: Deadline) -> None:
        """Ask from below while the search finds what the first question from above will be."""
        session = self._session
        while not session.stopped and not until.expired():
            if session.objective is None or session.bound is None:
                break
            if not self._probing or session.objective - session.bound <= 1:
                break
            self._probe(int(session.bound), int(session.objective), None, until.remaining())
        self._probing = True

    def step(self, effort: float | None = None) -> None:
        """Ask one question, for `effort` deterministic seconds at most."""
        session = self._session
        if session.objective is None:
            answer = self._ask(None, session.deadline, effort)
            if answer is Answer.NO:
                session.prove_infeasible(self._source)
            return
        objective = int(session.objective)
        until = session.deadline
        if self._probing and session.bound is not None and objective - session.bound > 1:
            if effort is None:
                patience = self._turn - self._asked
                if patience > 0.05:
                    until = Deadline(patience)
            if until is session.deadline:
                self._probe(int(session.bound), objective, effort)
                if self._patient and not self._probing and effort is None:
                    self._pass_turn()
                return

        began = session.deadline.elapsed()
        answer = self._ask(objective - 1, until, effort)
        self._asked += session.deadline.elapsed() - began
        if answer is Answer.NO:
            session.prove(objective, self._source)

    def _pass_turn(self) -> None:
        """Go on from above for as long as the last question from below; the next takes longer."""
        self._turn = self._asked + self._most
        self._most *= 2
        self._probing = True

    def _budget(self, seconds: float) -> float:
        limit = self._session.deadline.limit
        return seconds if limit is None else min(seconds, SHARE * limit)

    def _probe(
        self, bound: int, objective: int, effort: float | None, most: float = math.inf
    ) -> None:
        """Ask whether the bound, or a little more, can be reached; stop when it takes long."""
        session = self._session
        until = session.deadline
        if effort is None:
            budget = min(most, self._most, session.deadline.remaining())
            if session.deadline.limit is not None and not self._patient:
                budget = min(budget, SHARE * session.deadline.limit - self._probed)
            if budget <= 0.05:
                self._probing = False
                return
            until = Deadline(budget)
        target = min(bound + self._step - 1, objective - 2)
        answer = self._ask(target, until, effort)
        if effort is None:
            self._probed += until.elapsed()
        if answer is Answer.NO:
            session.prove(target + 1, self._source)
            self._step *= 2
        elif self._step > 1:
            self._step = max(1, self._step // 4)
        else:
            self._probing = False
