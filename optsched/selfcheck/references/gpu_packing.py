"""The optimum of a tiny GPU cluster by trying every placement, on every set of GPUs."""

from __future__ import annotations

from optsched.problems.gpu_packing.problem import GpuPacking


def optimum(problem: GpuPacking) -> int:
    """Return the least weight that can be left out, by depth-first search over all placements."""
    free = [[1000] * g for g in problem.gpus.tolist()]
    room = problem.capacity.tolist()
    best = int(problem.weight.sum())

    def place(p: int, left: int) -> None:
        nonlocal best
        if left >= best:
            return
        if p == problem.n_pods:
            best = left
            return
        need, count = problem.request[p].tolist(), int(problem.count[p])
        share, wanted = int(problem.share[p]), problem.wanted[p]
        for n in range(problem.n_nodes):
            if wanted and problem.model[n] not in wanted.split("|"):
                continue
            if any(a > b for a, b in zip(need, room[n], strict=True)):
                continue
            for chosen in range(2 ** len(free[n])):
                devices = [d for d in range(len(free[n])) if chosen >> d & 1]
                if len(devices) != count or any(free[n][d] < share for d in devices):
                    continue
                for d in devices:
                    free[n][d] -= share
                room[n] = [b - a for a, b in zip(need, room[n], strict=True)]
                place(p + 1, left)
                room[n] = [b + a for a, b in zip(need, room[n], strict=True)]
                for d in devices:
                    free[n][d] += share
        place(p + 1, left + int(problem.weight[p]))

    place(0, 0)
    return best
