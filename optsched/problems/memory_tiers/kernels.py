"""Compiled kernels: plans of single tensors, their joint time, and the search over them.

A plan says for each touch of a tensor in which memory it is (``tier``), whether the tensor stays
there up to its next touch (``keep``), from which step on it is brought for a touch that it does not
stay for (``start``), and the last step in which it may be evicted (``evict``; -1: it is not). Given
all plans, each copy has a window of steps, and spreading the copies so that the channel is longest
hidden behind the operators is a matter of taking the earliest deadline first.

``data`` is a tuple ``(first, step, access, time, size, written, output, capacity, compute)``: the
touches of tensor ``t`` are ``first[t]`` to ``first[t + 1]``, in the steps ``step``; the other
arrays are by tensor (``access``: and memory), by memory, or by step. ``state`` is a tuple ``(tier,
keep, start, evict, room, load)``: the plans, the bytes in each memory and step, and the access time
in each step.
"""

# Numba takes the types of kernels from the arrays.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit

_OPTIONS = {"nogil": True, "cache": True, "boundscheck": False}


@njit(**_OPTIONS)
def draw(rng, n):
    """Return a number below `n` (xorshift64*, Vigna 2016); the state is ``rng[0]``."""
    x = rng[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[0] = x
    high = (x * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(32)
    return np.int64((high * np.uint64(n)) >> np.uint64(32))


@njit(**_OPTIONS)
def stay_end(keep, k, end):
    """Return the touch, before `end`, up to which a stay that begins with touch `k` lasts."""
    while k + 1 < end and keep[k]:
        k += 1
    return k


@njit(**_OPTIONS)
def change(data, state, t, sign):
    """Add the plan of a tensor to `room` and `load`, or take it away."""
    first, step, access, _, size, written, _, _, _ = data
    tier, keep, start, evict, room, load = state
    k = first[t]
    while k < first[t + 1]:
        m = tier[k]
        load[step[k]] += sign * access[t, m]
        if m == 0:
            k += 1
            continue
        produced = written[t] and k == first[t]
        begin = step[k] if produced else start[k]
        last = stay_end(keep, k, first[t + 1])
        for j in range(k + 1, last + 1):
            load[step[j]] += sign * access[t, m]
        end = step[last]
        if produced and evict[t] > end:
            end = evict[t]
        for i in range(begin, end + 1):
            room[m, i] += sign * size[t]
        k = last + 1


@njit(**_OPTIONS)
def evaluate(data, state, slack, record):
    """Return the time of all steps, and fill `slack`: time of each step that the channel is free.

    `record`, if it has rows, takes (tensor, memory, step, time) of the copies; the number of rows
    filled is returned as well.
    """
    first, step, _, time, size, written, _, _, compute = data
    tier, keep, start, evict, _, load = state
    n_steps, n_tensors = len(compute), len(size)
    most = len(step) + n_tensors
    # Windows of the copies, in lists by first step.
    head = np.full(n_steps, -1, dtype=np.int64)
    after = np.empty(most, dtype=np.int64)
    due = np.empty(most, dtype=np.int64)
    left = np.empty(most, dtype=np.int64)
    what = np.empty((most, 2), dtype=np.int64)
    n = 0
    for t in range(n_tensors):
        if time[t] == 0:
            continue
        if evict[t] >= 0:
            begin = step[first[t]] + 1
            due[n], left[n], after[n] = evict[t], time[t], head[begin]
            what[n, 0], what[n, 1] = t, 0
            head[begin] = n
            n += 1
        for k in range(first[t], first[t + 1]):
            if tier[k] == 0 or (written[t] and k == first[t]):
                continue
            if k > first[t] and keep[k - 1]:
                continue
            due[n], left[n], after[n] = step[k] - 1, time[t], head[start[k]]
            what[n, 0], what[n, 1] = t, tier[k]
            head[start[k]] = n
            n += 1
    waiting = np.empty(n + 1, dtype=np.int64)
    n_waiting, rows, total = 0, 0, 0
    for i in range(n_steps):
        base = max(compute[i], load[i])
        job = head[i]
        while job >= 0:
            waiting[n_waiting] = job
            n_waiting += 1
            job = after[job]
        done = 0
        while n_waiting:
            at = 0
            for w in range(1, n_waiting):
                if due[waiting[w]] < due[waiting[at]]:
                    at = w
            job = waiting[at]
            # What must be done by now is done, hidden or not.
            part = left[job] if due[job] == i else min(left[job], base - done)
            if part <= 0:
                break
            done += part
            left[job] -= part
            if rows < len(record):
                record[rows, 0], record[rows, 1] = what[job, 0], what[job, 1]
                record[rows, 2], record[rows, 3] = i, part
                rows += 1
            if left[job] == 0:
                n_waiting -= 1
                waiting[at] = waiting[n_waiting]
        slack[i] = max(0, base - done)
        total += max(base, done)
    return total, rows


@njit(**_OPTIONS)
def gain_of(data, state, t, m, k):
    """Return the time that touch `k` of a tensor saves in memory `m`, which is not in `load`."""
    step, access, compute, load = data[1], data[2], data[8], state[5]
    s = step[k]
    return max(compute[s], load[s] + access[t, 0]) - max(compute[s], load[s] + access[t, m])


@njit(**_OPTIONS)
def extend(data, state, t, m, k):
    """Keep a tensor from touch `k` on as far as there is room; return last touch and time saved."""
    first, step, size, capacity = data[0], data[1], data[4], data[7]
    tier, keep, room = state[0], state[1], state[4]
    gain = 0
    while k + 1 < first[t + 1]:
        for i in range(step[k] + 1, step[k + 1] + 1):
            if room[m, i] + size[t] > capacity[m]:
                return k, gain
        keep[k] = True
        k += 1
        tier[k] = m
        gain += gain_of(data, state, t, m, k)
    return k, gain


@njit(**_OPTIONS)
def forget(state, low, high):
    """Leave the touches from `low` to before `high` in main memory."""
    tier, keep, start = state[0], state[1], state[2]
    for k in range(low, high):
        tier[k] = 0
        keep[k] = False
        start[k] = -1


@njit(**_OPTIONS)
def take(slack, low, high, amount):
    """Take time of the channel out of the steps from `high` back to `low`."""
    i = high
    while amount > 0 and i >= low:
        part = min(amount, slack[i])
        slack[i] -= part
        amount -= part
        i -= 1


@njit(**_OPTIONS)
def produce(data, state, t, m, slack):
    """Plan the production of a tensor in memory `m`; return the next touch to plan, time saved."""
    first, step, _, time, size, _, output, capacity, compute = data
    tier, evict, room = state[0], state[3], state[4]
    k = first[t]
    here = step[k]
    if room[m, here] + size[t] > capacity[m]:
        return k + 1, 0
    tier[k] = m
    gain = gain_of(data, state, t, m, k)
    last, more = extend(data, state, t, m, k)
    gain += more
    if output[t] or last + 1 < first[t + 1]:
        # Main memory needs it: by the end, or by the step before the next touch.
        limit = len(compute) if last + 1 == first[t + 1] else step[last + 1]
        missing, until = time[t], -1
        for i in range(here + 1, limit):
            if i > step[last] and room[m, i] + size[t] > capacity[m]:
                break
            until = i
            missing -= slack[i]
            if missing <= 0:
                break
        if until < 0 or gain <= max(0, missing):
            forget(state, first[t], last + 1)
            return k + 1, 0
        evict[t] = until
        take(slack, here + 1, until, time[t])
        gain -= max(0, missing)
    if gain <= 0:
        forget(state, first[t], last + 1)
        evict[t] = -1
        return k + 1, 0
    return last + 1, gain


@njit(**_OPTIONS)
def fetch(data, state, t, m, k, slack):
    """Plan to bring a tensor for touch `k`; return the next touch to plan and the time saved."""
    first, step, _, time, size, written, _, capacity, _ = data
    tier, start, evict, room = state[0], state[2], state[3], state[4]
    lowest = 0
    if written[t]:
        lowest = step[first[t]] + 1 if evict[t] < 0 else evict[t] + 1
    if k > first[t]:
        lowest = max(lowest, step[k - 1] + (1 if tier[k - 1] else 0))
    if room[m, step[k]] + size[t] > capacity[m]:
        return k + 1, 0
    missing, begin = time[t], -1
    i = step[k] - 1
    while i >= lowest and room[m, i] + size[t] <= capacity[m]:
        begin = i
        missing -= slack[i]
        if missing <= 0:
            break
        i -= 1
    if begin < 0:
        return k + 1, 0
    tier[k] = m
    start[k] = begin
    gain = gain_of(data, state, t, m, k)
    last, more = extend(data, state, t, m, k)
    gain += more - max(0, missing)
    if gain <= 0:
        forget(state, k, last + 1)
        return k + 1, 0
    take(slack, begin, step[k] - 1, time[t])
    return last + 1, gain


@njit(**_OPTIONS)
def plan(data, state, t, slack, rng, laziness):
    """Plan a tensor that is cleared, and add it; of 1000 touches `laziness` stay in main memory."""
    first, step, access, _, size, written, _, capacity, _ = data
    k, m = first[t], 0
    for other in range(1, access.shape[1]):
        if access[t, other] < access[t, 0] and 0 < size[t] <= capacity[other]:
            # The fastest; while searching, any may be the right one.
            faster = draw(rng, 2) == 0 if laziness else access[t, other] < access[t, m]
            if m == 0 or faster:
                m = other
    while m and k < first[t + 1]:
        if laziness and draw(rng, 1000) < laziness:
            k += 1
            continue
        if written[t] and k == first[t]:
            k, _ = produce(data, state, t, m, slack)
        else:
            k, _ = fetch(data, state, t, m, k, slack)
    for k in range(first[t], first[t + 1]):
        # What an access saves, the channel can no longer hide behind.
        s = step[k]
        slack[s] -= min(slack[s], max(0, gain_of(data, state, t, state[0][k], k)))
    change(data, state, t, 1)


@njit(**_OPTIONS)
def clear(data, state, t):
    """Take the plan of a tensor away, accesses included."""
    first = data[0]
    change(data, state, t, -1)
    forget(state, first[t], first[t + 1])
    state[3][t] = -1


@njit(**_OPTIONS)
def construct(data, state, order, slack, rng):
    """Plan the tensors in the given order, each only where it saves time; return the time."""
    record = np.empty((0, 4), dtype=np.int64)
    total = evaluate(data, state, slack, record)[0]
    for t in order:
        clear(data, state, t)
        plan(data, state, t, slack, rng, 0)
        new = evaluate(data, state, slack, record)[0]
        if new > total:
            clear(data, state, t)
            change(data, state, t, 1)
            evaluate(data, state, slack, record)
        else:
            total = new
    return total


@njit(**_OPTIONS)
def copy_state(source, target):
    """Copy all arrays of a state; they are of different types, so that no loop can."""
    target[0][:] = source[0]
    target[1][:] = source[1]
    target[2][:] = source[2]
    target[3][:] = source[3]
    target[4][:, :] = source[4]
    target[5][:] = source[5]


@njit(**_OPTIONS)
def improve(data, state, best, values, rng, iterations, heat, whole):
    """Search: plan some tensors anew, again and again; ``values`` are current and best time.

    Which ones: those that are touched within some stretch of steps, or any. A result that is a
    little worse is accepted now and then (annealing): `heat` of `whole` iterations are left.
    """
    first, step, _, _, size, _, _, _, compute = data
    n_steps, n_tensors = len(compute), len(size)
    slack = np.zeros(n_steps, dtype=np.int64)
    record = np.empty((0, 4), dtype=np.int64)
    old = (
        state[0].copy(), state[1].copy(), state[2].copy(), state[3].copy(), state[4].copy(),
        state[5].copy(),
    )  # fmt: skip
    chosen = np.empty(n_tensors, dtype=np.int64)
    taken = np.zeros(n_tensors, dtype=np.bool_)
    for iteration in range(iterations):
        copy_state(state, old)
        n = 0
        limit = 1 + draw(rng, 12)
        centre, reach = draw(rng, n_steps), 1 + draw(rng, 10)
        offset = draw(rng, n_tensors)
        for j in range(n_tensors):
            t = (j + offset) % n_tensors
            if n == limit:
                break
            near = False
            for k in range(first[t], first[t + 1]):
                near |= abs(step[k] - centre) <= reach
            if near and draw(rng, 3):
                chosen[n] = t
                taken[t] = True
                n += 1
        while n < 2 and n < n_tensors:
            t = draw(rng, n_tensors)
            if not taken[t]:
                chosen[n] = t
                taken[t] = True
                n += 1
        for j in range(n):
            taken[chosen[j]] = False
            other = draw(rng, j + 1)
            chosen[j], chosen[other] = chosen[other], chosen[j]
        for j in range(n):
            clear(data, state, chosen[j])
            change(data, state, chosen[j], 1)  # in main memory for now
        evaluate(data, state, slack, record)
        laziness = 1 + draw(rng, 200)
        for j in range(n):
            clear(data, state, chosen[j])
            plan(data, state, chosen[j], slack, rng, laziness)
        total = evaluate(data, state, slack, record)[0]
        warmth = values[1] * max(0, heat - iteration) // whole // 500
        if total <= values[0] or (warmth > 0 and total - values[0] <= draw(rng, warmth + 1)):
            values[0] = total
            if total < values[1]:
                values[1] = total
                copy_state(state, best)
        else:
            copy_state(old, state)
