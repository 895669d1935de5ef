"""Depth-first search for an allocation that fits a capacity: the kernel.

Canonical solutions are enumerated as in Moffitt (MiniMalloc, ASPLOS 2023): blocks are placed at
non-decreasing offsets, each as low as those beneath it allow. Pruned are placements under which a
waiting block would fit entirely (dominance), and states in which a section, a moment at which a
set of blocks is live, has more waiting than room above its floor. Where the waiting blocks fall
apart in time, the parts are solved one by one, and a part that fails goes straight back to the
placement that made it (no other part can mend it).

All state is in flat arrays, so that a search can be continued slice by slice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True}
#: Columns of a frame: range in the permutation, range of sections, frame to fail to, first
#: waiting part, candidates, trail mark, least offset and rank, block placed, marks of the pools.
LO, HI, S_LO, S_HI, FAIL, CONT, C_LO, C_AT, C_HI, TRAIL, OFF, BLOCK, CONTS, FRESH = range(14)
WIDTH = 14
#: Columns of a waiting part.
P_LO, P_HI, P_S_LO, P_S_HI, P_FAIL, P_NEXT, P_OFF = range(7)
PART = 7
#: Entries of ``state``.
TOP, CONT_TOP, CAND_TOP, TRAIL_TOP, NODES, FAILURES = range(6)
#: What `run` returns.
RUNNING, FOUND, NONE = 0, 1, 2
#: When the load ahead of a block is looked up, to go before the rank among equal offsets.
NEVER, AT_SPLIT, ALWAYS = 0, 1, 2


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def reset(
    capacity: int,
    size: Any, align: Any, pin: Any, first: Any, last: Any,
    bs_ptr: Any, bs_idx: Any, bs_h: Any, sb_ptr: Any, sb_idx: Any,
    perm: Any, low: Any, waiting: Any, floor: Any, witness: Any, total: Any, cuts: Any,
    asleep: Any, ahead: Any, frames: Any, parts: Any, trail: Any, state: Any, scratch: Any,
) -> bool:  # fmt: skip
    """Prepare a search from the beginning; return False when a section cannot hold its blocks."""
    n, n_sections = len(size), len(floor)
    for b in range(n):
        perm[b] = b
        low[b] = max(pin[b], 0)
        waiting[b] = True
        asleep[b] = -1
        if low[b] + size[b] > capacity:
            return False
    total[:] = 0
    cuts[:] = 0
    for b in range(n):
        for k in range(bs_ptr[b], bs_ptr[b + 1]):
            total[bs_idx[k]] += bs_h[k]
        for s in range(first[b], last[b]):
            cuts[s] += 1
    for s in range(n_sections):
        _find_witness(s, sb_ptr, sb_idx, low, waiting, floor, witness)
        if floor[s] + total[s] > capacity:
            return False
    for b in range(n):
        ahead[b] = _load_ahead(b, bs_ptr, bs_idx, total)
    state[:] = 0
    state[TOP] = -1
    head = _split(
        0, n, 0, n_sections - 1, -1, -1, 0, perm, first, cuts, bs_ptr, bs_idx, total, ahead,
        n + n_sections, parts, trail, state, scratch,
    )  # fmt: skip
    if head < 0:
        return True
    _push(head, frames, parts, state)
    return True


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _find_witness(
    s: int, sb_ptr: Any, sb_idx: Any, low: Any, waiting: Any, floor: Any, witness: Any
) -> None:
    """Set a section's floor: the least offset at which one of its waiting blocks can go."""
    best, who = np.int64(2**62), -1
    for k in range(sb_ptr[s], sb_ptr[s + 1]):
        b = sb_idx[k]
        if waiting[b] and low[b] < best:
            best, who = low[b], b
    witness[s] = who
    floor[s] = best if who >= 0 else 0


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _load_ahead(b: int, bs_ptr: Any, bs_idx: Any, total: Any) -> int:
    """Return the greatest of what waits in a section of a block's."""
    most = np.int64(0)
    for k in range(bs_ptr[b], bs_ptr[b + 1]):
        most = max(most, total[bs_idx[k]])
    return int(most)


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _split(
    lo: int, hi: int, s_lo: int, s_hi: int, fail: int, behind: int, off: int,
    perm: Any, first: Any, cuts: Any, bs_ptr: Any, bs_idx: Any, total: Any, ahead: Any, base: int,
    parts: Any, trail: Any, state: Any, scratch: Any,
) -> int:  # fmt: skip
    """Cut the blocks ``perm[lo:hi]`` into parts apart in time; return the first, -1 for none.

    The parts are linked, and `behind` follows the last. Where there are several, the load ahead of
    each block is looked up anew.
    """
    if lo == hi:
        return behind
    # Count blocks by the segment between cuts in which they lie.
    scratch[s_lo] = 0
    number = 0
    for s in range(s_lo, s_hi):
        if cuts[s] == 0:
            number += 1
        scratch[s + 1] = number
    if number == 0:
        return int(_part(lo, hi, s_lo, s_hi, fail, behind, off, parts, state))
    top = state[TRAIL_TOP]
    for k in range(lo, hi):
        b = perm[k]
        load = _load_ahead(b, bs_ptr, bs_idx, total)
        if load != ahead[b]:
            trail[top, 0], trail[top, 1] = base + b, ahead[b]
            top += 1
            ahead[b] = load
    state[TRAIL_TOP] = top
    head, end = behind, hi
    s_end = s_hi
    # From the last segment to the first, so that the list is in order of time.
    for segment in range(number, -1, -1):
        s_begin = s_end
        while s_begin > s_lo and scratch[s_begin - 1] == segment:
            s_begin -= 1
        begin = end
        for k in range(end - 1, lo - 1, -1):
            b = perm[k]
            if scratch[first[b]] == segment:
                begin -= 1
                perm[k], perm[begin] = perm[begin], b
        if begin < end:
            head = _part(begin, end, s_begin, s_end, fail, head, off, parts, state)
        end = begin
        s_end = s_begin - 1
    return head


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _part(
    lo: int, hi: int, s_lo: int, s_hi: int, fail: int, behind: int, off: int,
    parts: Any, state: Any,
) -> int:  # fmt: skip
    at = state[CONT_TOP]
    state[CONT_TOP] = at + 1
    row = parts[at]
    row[P_LO], row[P_HI], row[P_S_LO], row[P_S_HI] = lo, hi, s_lo, s_hi
    row[P_FAIL], row[P_NEXT], row[P_OFF] = fail, behind, off
    return int(at)


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _push(part: int, frames: Any, parts: Any, state: Any) -> None:
    """Open a frame for a part."""
    state[TOP] += 1
    frame, row = frames[state[TOP]], parts[part]
    frame[LO], frame[HI], frame[S_LO], frame[S_HI] = row[P_LO], row[P_HI], row[P_S_LO], row[P_S_HI]
    frame[FAIL], frame[CONT] = row[P_FAIL], row[P_NEXT]
    frame[OFF] = row[P_OFF]
    frame[C_LO] = frame[C_AT] = frame[C_HI] = state[CAND_TOP]
    frame[TRAIL], frame[CONTS] = state[TRAIL_TOP], state[CONT_TOP]
    frame[BLOCK], frame[FRESH] = -1, 1


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _candidates(
    frame: Any, capacity: int, look: int, perm: Any, low: Any, size: Any, pin: Any, rank: Any,
    twin: Any, bs_ptr: Any, bs_idx: Any, waiting: Any, total: Any, asleep: Any, ahead: Any,
    cand: Any, state: Any,
) -> None:  # fmt: skip
    """List what may be placed next: by offset, perhaps by greatest load ahead, then by rank."""
    # All that waits goes to the next offset or above it: there must be room in every section.
    most = np.int64(0)
    for s in range(frame[S_LO], frame[S_HI] + 1):
        most = max(most, total[s])
    least = capacity - most
    # At greater offsets, room for a waiting block would be left beneath.
    for k in range(frame[LO], frame[HI]):
        b = perm[k]
        least = min(least, low[b] + size[b] - 1 if pin[b] < 0 else pin[b])
    begin = end = state[CAND_TOP]
    for k in range(frame[LO], frame[HI]):
        b = perm[k]
        at = low[b]
        if at > least or at < frame[OFF] or asleep[b] == at:
            continue
        if twin[b] >= 0 and waiting[twin[b]]:
            continue
        load = np.int64(0)
        if look == AT_SPLIT:
            load = ahead[b]
        elif look == ALWAYS:
            load = _load_ahead(b, bs_ptr, bs_idx, total)
        i = end
        while i > begin:
            c = cand[i - 1, 0]
            if low[c] < at or (
                low[c] == at
                and (cand[i - 1, 1] > load or (cand[i - 1, 1] == load and rank[c] < rank[b]))
            ):
                break
            cand[i, 0], cand[i, 1] = c, cand[i - 1, 1]
            i -= 1
        cand[i, 0], cand[i, 1] = b, load
        end += 1
    state[CAND_TOP] = end
    frame[C_LO] = frame[C_AT] = begin
    frame[C_HI] = end
    frame[FRESH] = 0


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _wake(frame: Any, asleep: Any, cand: Any) -> None:
    """Take back that what a frame has tried is asleep."""
    for k in range(frame[C_AT] - 1, frame[C_LO] - 1, -1):
        asleep[cand[k, 0]] = cand[k, 1]


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _undo(
    frame: Any, bs_ptr: Any, bs_idx: Any, bs_h: Any, first: Any, last: Any, n: int,
    low: Any, waiting: Any, floor: Any, witness: Any, total: Any, cuts: Any,
    ahead: Any, trail: Any, state: Any,
) -> None:  # fmt: skip
    """Take back what a frame has placed."""
    at = state[TRAIL_TOP]
    base = n + len(floor)
    while at > frame[TRAIL]:
        at -= 1
        what, old = trail[at, 0], trail[at, 1]
        if what < n:
            low[what] = old
        elif what >= base:
            ahead[what - base] = old
        else:
            floor[what - n] = old
            witness[what - n] = trail[at, 2]
    state[TRAIL_TOP] = frame[TRAIL]
    b = frame[BLOCK]
    if b >= 0:
        waiting[b] = True
        for k in range(bs_ptr[b], bs_ptr[b + 1]):
            total[bs_idx[k]] += bs_h[k]
        for s in range(first[b], last[b]):
            cuts[s] += 1
        frame[BLOCK] = -1
    state[CONT_TOP] = frame[CONTS]


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _place(
    b: int, frame: Any, capacity: int,
    size: Any, align: Any, pin: Any, first: Any, last: Any,
    ov_ptr: Any, ov_idx: Any, ov_sep: Any,
    bs_ptr: Any, bs_idx: Any, bs_h: Any, sb_ptr: Any, sb_idx: Any,
    low: Any, waiting: Any, floor: Any, witness: Any, total: Any, cuts: Any,
    trail: Any, state: Any,
) -> bool:  # fmt: skip
    """Place a block at its least offset; return False when some section cannot take the rest."""
    n = len(size)
    at = low[b]
    frame[BLOCK] = b
    waiting[b] = False
    top = state[TRAIL_TOP]
    for k in range(bs_ptr[b], bs_ptr[b + 1]):
        total[bs_idx[k]] -= bs_h[k]
    for s in range(first[b], last[b]):
        cuts[s] -= 1
    for k in range(ov_ptr[b], ov_ptr[b + 1]):
        c = ov_idx[k]
        above = at + ov_sep[k]
        if low[c] >= above or not waiting[c]:
            continue
        a = align[c]
        if a > 1:
            above += (a - above % a) % a
        trail[top, 0], trail[top, 1] = c, low[c]
        top += 1
        low[c] = above
        if above + size[c] > capacity or (pin[c] >= 0 and above > pin[c]):
            state[TRAIL_TOP] = top
            return False
    good = True
    for s in range(frame[S_LO], frame[S_HI] + 1):
        if total[s] == 0:
            continue
        w = witness[s]
        if low[w] != floor[s] or not waiting[w]:
            # A floor is looked up again only when the block that held it down has moved.
            trail[top, 0], trail[top, 1], trail[top, 2] = n + s, floor[s], w
            top += 1
            _find_witness(s, sb_ptr, sb_idx, low, waiting, floor, witness)
            if floor[s] + total[s] > capacity:
                good = False
                break
    state[TRAIL_TOP] = top
    return good


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def run(
    nodes: int, capacity: int, look: int,
    size: Any, align: Any, pin: Any, rank: Any, twin: Any, first: Any, last: Any,
    ov_ptr: Any, ov_idx: Any, ov_sep: Any,
    bs_ptr: Any, bs_idx: Any, bs_h: Any, sb_ptr: Any, sb_idx: Any,
    perm: Any, low: Any, waiting: Any, floor: Any, witness: Any, total: Any, cuts: Any,
    asleep: Any, ahead: Any, frames: Any, parts: Any, cand: Any, trail: Any, scratch: Any,
    state: Any,
) -> int:  # fmt: skip
    """Go on for so many nodes; return FOUND (``low`` holds the offsets), NONE or RUNNING."""
    n = len(size)
    if state[TOP] < 0:
        return FOUND
    while nodes > 0:
        frame = frames[state[TOP]]
        if frame[FRESH]:
            nodes -= 1
            state[NODES] += 1
            _candidates(
                frame, capacity, look, perm, low, size, pin, rank, twin, bs_ptr, bs_idx, waiting,
                total, asleep, ahead, cand, state,
            )  # fmt: skip
        else:
            _undo(
                frame, bs_ptr, bs_idx, bs_h, first, last, n,
                low, waiting, floor, witness, total, cuts, ahead, trail, state,
            )  # fmt: skip
            state[CAND_TOP] = frame[C_HI]
            # Whoever comes next at the same offset need not come back to what has just failed.
            tried = cand[frame[C_AT] - 1, 0]
            cand[frame[C_AT] - 1, 1] = asleep[tried]
            asleep[tried] = low[tried]
        if frame[C_AT] == frame[C_HI]:
            state[FAILURES] += 1
            fail = frame[FAIL]
            if fail < 0:
                return NONE
            _wake(frame, asleep, cand)
            state[TOP] -= 1
            while state[TOP] > fail:
                gone = frames[state[TOP]]
                # The last candidate is at work in a part that is solved: it is not asleep.
                gone[C_AT] -= 1
                _wake(gone, asleep, cand)
                _undo(
                    gone, bs_ptr, bs_idx, bs_h, first, last, n,
                    low, waiting, floor, witness, total, cuts, ahead, trail, state,
                )  # fmt: skip
                state[TOP] -= 1
            continue
        b = cand[frame[C_AT], 0]
        frame[C_AT] += 1
        if not _place(
            b, frame, capacity, size, align, pin, first, last, ov_ptr, ov_idx, ov_sep,
            bs_ptr, bs_idx, bs_h, sb_ptr, sb_idx, low, waiting, floor, witness, total, cuts,
            trail, state,
        ):  # fmt: skip
            continue
        lo, hi = frame[LO], frame[HI]
        for k in range(lo, hi):
            if perm[k] == b:
                perm[k], perm[hi - 1] = perm[hi - 1], b
                break
        split = lo == hi - 1
        for x in range(first[b], last[b]):
            split = split or cuts[x] == 0
        if not split:
            part = _part(
                lo, hi - 1, frame[S_LO], frame[S_HI], state[TOP], frame[CONT], low[b],
                parts, state,
            )  # fmt: skip
            _push(part, frames, parts, state)
            continue
        head = _split(
            lo, hi - 1, frame[S_LO], frame[S_HI], state[TOP], frame[CONT], low[b],
            perm, first, cuts, bs_ptr, bs_idx, total, ahead, n + len(floor),
            parts, trail, state, scratch,
        )  # fmt: skip
        if head < 0:
            return FOUND
        _push(head, frames, parts, state)
    return RUNNING
