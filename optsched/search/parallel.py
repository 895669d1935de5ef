"""Sub-solves of a decomposition: in this process, in several processes, or on a Ray cluster.

The answers come back in the order of the questions, whoever was first, so that a run can be
repeated.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from optsched.core import InputError, MissingExtraError, Problem
from optsched.search.lns import Answer, Question
from optsched.search.sub_solve import Switch, answer
from optsched.session import Session
from optsched.solvers import worker
from optsched.solvers.base import Control, Verdict

#: Where sub-solves run.
PLACES = ("here", "processes", "ray")


class Here:
    """Sub-solves one after the other, in this process.

    Parameters
    ----------
    session : Session
    module : module
        The family's, see `answer`.
    options : mapping, optional
        CP-SAT parameters.
    """

    def __init__(
        self, session: Session, module: Any, options: Mapping[str, Any] | None = None
    ) -> None:
        self._session, self._module, self._options = session, module, options
        self._switch = Switch(session)

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer the questions; those that come after the stop are left open."""
        return [self._one(question) for question in questions]

    def _one(self, question: Question) -> Answer:
        session = self._session
        if session.stopped:
            return Answer(Verdict.STOPPED, None)
        with self._switch.registering() as when_stopped:
            return answer(
                self._module,
                session.problem,
                question,
                session.deadline.remaining(),
                stopped=lambda: session.stopped,
                when_stopped=when_stopped,
                options=self._options,
            )

    def close(self) -> None:
        """Nothing is held."""


class Processes:
    """Sub-solves side by side in processes of their own, which outlive a batch.

    Parameters
    ----------
    session : Session
    module : module
        The family's, see `answer`.
    count : int
        How many at a time.
    options : mapping, optional
        CP-SAT parameters.
    """

    def __init__(
        self,
        session: Session,
        module: Any,
        count: int,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._session, self._module, self._options = session, module, options
        self._switch = Switch(session)
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="optsched sub-solve")

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer the questions; those that come after the stop are left open."""
        return list(self._pool.map(self._one, questions))

    def _one(self, question: Question) -> Answer:
        session = self._session
        if session.stopped:
            return Answer(Verdict.STOPPED, None)
        found: list[Any] = []
        seconds = session.deadline.remaining()
        job = (self._module.__name__, session.problem, question, seconds, self._options)
        with self._switch.registering() as when_stopped:
            control = Control(
                deadline=session.deadline,
                workers=1,
                seed=question.seed,
                options={},
                variant="",
                hint=None,
                on_solution=lambda solution, _: found.append(solution),
                on_bound=lambda _: None,
                stopped=lambda: session.stopped,
                when_stopped=when_stopped,
            )
            verdict = worker.remote(__name__, job, control)
        return Answer(verdict, found[-1] if found else None)

    def close(self) -> None:
        """Let the threads go; the processes stay for later solves."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def serve(job: Any, emit: Callable[[str, Any], None], cancelled: Callable[[], bool]) -> Verdict:
    """Answer one question in a process of `optsched.solvers.worker`."""
    name, problem, question, seconds, options = job
    done = threading.Event()
    stops: list[Callable[[], None]] = []

    def watch() -> None:
        while not done.wait(0.05):
            if cancelled():
                for stop in list(stops):
                    stop()

    threading.Thread(target=watch, daemon=True).start()
    try:
        given = answer(
            importlib.import_module(name),
            problem,
            question,
            seconds,
            stopped=cancelled,
            when_stopped=stops.append,
            options=options,
        )
    finally:
        done.set()
    if given.solution is not None:
        emit("solution", (given.solution, None))
    return given.verdict


def _on_ray(
    name: str, problem: Problem, question: Question, seconds: float, options: Any
) -> Answer:
    """Answer one question in a Ray worker."""
    return answer(
        importlib.import_module(name),
        problem,
        question,
        seconds,
        stopped=lambda: False,
        when_stopped=lambda _: None,
        options=options,
    )


class OnRay:
    """Sub-solves side by side on a Ray cluster; each node needs optsched at hand.

    Parameters
    ----------
    session : Session
    module : module
        The family's, see `answer`.
    options : mapping, optional
        CP-SAT parameters.

    Raises
    ------
    MissingExtraError
        When Ray is not installed.
    InputError
        When no cluster can be joined.
    """

    def __init__(
        self, session: Session, module: Any, options: Mapping[str, Any] | None = None
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("ray", "ray") from error
        self._ray = ray
        self._session, self._module, self._options = session, module, options
        self._joined = not ray.is_initialized()
        if self._joined:
            try:
                ray.init(log_to_driver=False, logging_level="error")
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise InputError(f"Ray: {error}") from error
        self._problem = ray.put(session.problem)  # travels to each node once
        self._task = ray.remote(num_cpus=1, max_retries=2)(_on_ray)

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer the questions; what a lost node or the stop leaves open stays so."""
        ray, session = self._ray, self._session
        references = [
            self._task.remote(
                self._module.__name__,
                self._problem,
                question,
                session.deadline.remaining(),
                self._options,
            )
            for question in questions
        ]
        pending = list(references)
        while pending and not session.stopped:
            _, pending = ray.wait(pending, num_returns=len(pending), timeout=0.2)
        for reference in pending:
            with contextlib.suppress(Exception):
                ray.cancel(reference, force=True)
        return [
            Answer(Verdict.STOPPED, None) if reference in pending else self._receive(reference)
            for reference in references
        ]

    def _receive(self, reference: Any) -> Answer:
        try:
            given: Answer = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError:  # a node went away
            return Answer(Verdict.STOPPED, None)
        return given

    def close(self) -> None:
        """Leave the cluster, where it was joined here."""
        if self._joined:
            self._ray.shutdown()
