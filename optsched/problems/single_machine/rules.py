"""Dispatching rules for tardiness on one machine: arrays in, sequence out.

All take processing times, due dates and weights (shape ``(n_jobs,)``; rules that know no weights
ignore them) and return the jobs in order. A 500-job instance takes a few milliseconds at most. None
of them knows release dates, setups or precedence.
"""

# Numba takes the types of kernels from the arrays.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from optsched.core import InputError, IntArray

_OPTIONS = {"nogil": True, "cache": True, "boundscheck": False}
_ZERO = np.int64(0)
#: Look-ahead of the apparent tardiness cost, in mean processing times.
LOOK_AHEAD = 2.0

Rule = Callable[[IntArray, IntArray, IntArray], IntArray]


# ---- static orders ---------------------------------------------------------------------------


def edd(processing: IntArray, due: IntArray, weight: IntArray) -> IntArray:
    """Earliest due date first (Jackson 1955), as given among equals."""
    return np.argsort(due, kind="stable")


def spt(processing: IntArray, due: IntArray, weight: IntArray) -> IntArray:
    """Shortest processing time first (Smith 1956), earlier due first among equals."""
    return np.lexsort((due, processing))


def wspt(processing: IntArray, due: IntArray, weight: IntArray) -> IntArray:
    """Largest weight over processing time first (Smith 1956); optimal for completion time."""
    ratio = processing / np.maximum(weight, 1e-9)
    return np.lexsort((due, ratio))


def _by_due(processing: IntArray, due: IntArray) -> IntArray:
    return np.lexsort((processing, due))


# ---- kernels ---------------------------------------------------------------------------------


@njit(**_OPTIONS)
def _mdd(p, d, order):
    n = len(order)
    left = order.copy()
    result = np.empty(n, dtype=np.int64)
    t = _ZERO
    for at in range(n):
        best = 0
        low = max(t + p[left[0]], d[left[0]])
        for k in range(1, n - at):
            m = max(t + p[left[k]], d[left[k]])
            if m < low:
                best, low = k, m
        job = left[best]
        result[at] = job
        t += p[job]
        left[best : n - at - 1] = left[best + 1 : n - at].copy()
    return result


@njit(**_OPTIONS)
def _wmdd(p, d, w, order):
    n = len(order)
    left = order.copy()
    result = np.empty(n, dtype=np.int64)
    t = _ZERO
    for at in range(n):
        best = 0
        low = np.inf
        for k in range(n - at):
            j = left[k]
            m = max(p[j], d[j] - t) / w[j] if w[j] > 0 else np.inf
            if m < low:
                best, low = k, m
        job = left[best]
        result[at] = job
        t += p[job]
        left[best : n - at - 1] = left[best + 1 : n - at].copy()
    return result


@njit(**_OPTIONS)
def _atc(p, d, w, order, look_ahead):
    n = len(order)
    left = order.copy()
    result = np.empty(n, dtype=np.int64)
    t = _ZERO
    work = _ZERO
    for j in order:
        work += p[j]
    for at in range(n):
        scale = max(1e-9, look_ahead * work / (n - at))
        best = 0
        high = -np.inf
        for k in range(n - at):
            j = left[k]
            slack = max(_ZERO, d[j] - p[j] - t)
            # The logarithm of the index: it cannot underflow when the slack is large.
            index = np.log(max(w[j], 1e-9) / max(p[j], 1e-9)) - slack / scale
            if index > high:
                best, high = k, index
        job = left[best]
        result[at] = job
        t += p[job]
        work -= p[job]
        left[best : n - at - 1] = left[best + 1 : n - at].copy()
    return result


@njit(**_OPTIONS)
def _psk(p, d, order):
    n = len(order)
    left = order.copy()
    result = np.empty(n, dtype=np.int64)
    t = _ZERO
    for at in range(n):
        active = 0
        for k in range(1, n - at):
            i, j = left[active], left[k]
            if t + p[i] >= d[i] or d[i] <= t + p[j]:
                break
            if d[j] < d[i]:
                active = k
        job = left[active]
        result[at] = job
        t += p[job]
        left[active : n - at - 1] = left[active + 1 : n - at].copy()
    return result


@njit(**_OPTIONS)
def _panneerselvam(p, d):
    n = len(p)
    left = np.arange(n)
    result = np.empty(n, dtype=np.int64)
    work = p.sum()
    for at in range(n):
        best = 0
        high = -np.inf
        for k in range(n - at):
            j = left[k]
            index = (work - d[j]) / max(p[j], 1e-9)
            if index >= high:
                best, high = k, index
        job = left[best]
        result[at] = job
        work -= p[job]
        left[best : n - at - 1] = left[best + 1 : n - at].copy()
    return result


@njit(**_OPTIONS)
def _eddc(p, d, order):
    s = order.copy()
    begin = _ZERO  # work of the jobs before place i
    for i in range(1, len(s)):
        begin += p[order[i - 1]]
        work = begin
        j = i
        while j >= 1 and d[s[j]] < d[s[j - 1]]:
            before = work - p[s[j - 1]]  # work before place j - 1
            if d[s[j - 1]] > work:
                s[j - 1], s[j] = s[j], s[j - 1]
            work = before
            j -= 1
    return s


@njit(**_OPTIONS)
def _mddc(p, d, order):
    n = len(order)
    left = order.copy()
    result = np.empty(n, dtype=np.int64)
    t = _ZERO
    for at in range(n):
        longest, work = _ZERO, _ZERO
        for k in range(n - at):
            longest = max(longest, p[left[k]])
            work += p[left[k]]
        mean = work / (n - at)
        best = 0
        low = np.inf
        for k in range(n - at):
            j = left[k]
            m = max(1.1 * p[j] + t, float(d[j]))
            rho = min(1.0, p[j] / max(t + longest, 1e-9))
            m *= 1.0 + rho * rho / (1.0 + rho * rho)
            m += p[j] / max(t + mean, 1e-9)
            if m < low:
                best, low = k, m
        job = left[best]
        result[at] = job
        t += p[job]
        left[best : n - at - 1] = left[best + 1 : n - at].copy()
    return result


@njit(**_OPTIONS)
def _augment(p, d, w, order):
    n = len(order)
    s = np.empty(n, dtype=np.int64)
    late = np.empty(n, dtype=np.int64)  # end minus due date, by place
    t = _ZERO
    for size in range(1, n + 1):
        job = order[size - 1]
        t += p[job]
        s[size - 1] = job
        late[size - 1] = t - d[job]
        gain, source = _ZERO, np.int64(-1)
        lost = _ZERO  # weighted tardiness and weight of the late jobs behind the place
        slope = _ZERO
        for k in range(size - 1, -1, -1):
            j = s[k]
            own = w[j] * (max(_ZERO, t - d[j]) - max(_ZERO, late[k]))
            # What the others can win at most; most places fail here.
            if min(lost, slope * p[j]) - own > gain:
                won = -own
                for at in range(k + 1, size):
                    if late[at] > 0:
                        won += w[s[at]] * min(late[at], p[j])
                if won > gain:
                    gain, source = won, np.int64(k)
            if late[k] > 0:
                lost += w[j] * late[k]
                slope += w[j]
        if source >= 0:
            moved = s[source]
            for at in range(source, size - 1):
                s[at] = s[at + 1]
                late[at] = late[at + 1] - p[moved]
            s[size - 1] = moved
            late[size - 1] = t - d[moved]
    return s


# ---- rules -----------------------------------------------------------------------------------


def mdd(processing: IntArray, due: IntArray, weight: IntArray) -> IntArray:
    """Least modified due date ``max(t + p, d)`` next (Baker and Bertrand 1982)."""
    return np.asarray(_mdd(processing, due, _by_due(processing, due)))


def wmdd(processing: IntArray, due: IntArray, weight: IntArray) -> IntArray:
    """Least weighted modified due date ``max(p, d - t) / w`` next (Kanet and Li 2004)."""
    return np.asarray(_wmdd(processing, due, weight, _by_due(processing, due)))


def atc(
    processing: IntArray, due: IntArray, weight: IntArray, look_ahead: float = LOOK_AHEAD
) -> IntArray:
    """Apparent tardiness cost (Vepsalainen and Morton 1987).

    Next is the job of largest ``w / p * exp(-max(0, d - p - t) / (look_ahead * mean p))``, the mean
    taken over the jobs left.
    """
    return np.asarray(_atc(processing, due, weight, _by_due(processing, due), look_ahead))


def psk(processing: IntArray, due: IntArray, weight: IntArray) -> IntArray:
    """Rule of Panwalkar, Smith and Koulamas (1993).

    From the shortest job on, a longer one takes over while it is due earlier and the active one
    would not be late behind it.
    """
    return np.asarray(_psk(processing, due, spt(processing, due, weight)))


def panneerselvam(processing: IntArray, due: IntArray, weight: IntArray) -> IntArray:
    """Largest ``(W - d) / p`` next, with ``W`` the work of all jobs left (Panneerselvam 2006).

    As in the code published with the paper that proposes EDDC and MDDC, which goes through the
    steps of the original; the last such job among equals.
    """
    return np.asarray(_panneerselvam(processing, due))


def eddc(processing: IntArray, due: IntArray, weight: IntArray) -> IntArray:
    """EDD challenger ("Discovering Heuristics with LLMs for MIPs: Single-Machine Scheduling" 2025).

    SPT order; then each job walks to the front while it is due before its neighbour, and changes
    places with it where the neighbour is due after its own end.
    """
    return np.asarray(_eddc(processing, due, spt(processing, due, weight)))


def mddc(processing: IntArray, due: IntArray, weight: IntArray) -> IntArray:
    """MDD challenger (source as `eddc`): the modified due date, weighed against long jobs."""
    return np.asarray(_mddc(processing, due, _by_due(processing, due)))


def augmented(rule: Rule) -> Rule:
    """Return the augmented form of a rule.

    The jobs are appended in the rule's order; after each, the best single move of a job to the end
    of what has been sequenced is made, if it lowers the weighted tardiness. Times do not depend on
    the order of what went before, so this suits any rule.
    """

    def improved(processing: IntArray, due: IntArray, weight: IntArray) -> IntArray:
        order = rule(processing, due, weight)
        return np.asarray(_augment(processing, due, weight, order))

    improved.__name__ = f"augmented_{getattr(rule, '__name__', 'rule')}"
    improved.__doc__ = f"Augmented form of `{getattr(rule, '__name__', 'rule')}`."
    return improved


#: Rule by the name that the literature uses; "A" in front marks the augmented forms.
RULES: dict[str, Rule] = {
    "EDD": edd, "SPT": spt, "WSPT": wspt, "MDD": mdd, "WMDD": wmdd, "ATC": atc, "PSK": psk,
    "PANNEERSELVAM": panneerselvam, "EDDC": eddc, "MDDC": mddc,
}  # fmt: skip
RULES |= {f"A{name}": augmented(rule) for name, rule in RULES.items()}


def sequence(name: str, processing: Any, due: Any, weight: Any = None) -> IntArray:
    """Return the sequence of the rule called `name`.

    Raises
    ------
    InputError
        On an unknown rule.
    """
    if name not in RULES:
        raise InputError(f"unknown rule {name!r}: one of {', '.join(RULES)}")
    p = np.asarray(processing, dtype=np.int64)
    d = np.asarray(due, dtype=np.int64)
    w = np.ones_like(p) if weight is None else np.asarray(weight, dtype=np.int64)
    return RULES[name](p, d, w)
