"""Faults in the packing and memory families."""

from fault import Fault, faults, one_more

POD_PACKING = [
    *faults(
        "pod_packing",
        "cpsat",
        "cpsat",
        [
            (
                "pods of a token share a node",
                "PodPackingCpsat._tokens",
                "self._pairs(holders, holders, [n])",
                "self._pairs(holders[1:], holders[1:], [n])",
            ),
            (
                "anti-affinity is lost",
                "PodPackingCpsat._term",
                "self._pairs(owners, targets, nodes)",
                "pass",
            ),
            (
                "affinity asks for nobody",
                "PodPackingCpsat._term",
                "model.add(others >= 1)",
                "model.add(others >= 0)",
            ),
            (
                "skews are one greater",
                "PodPackingCpsat._term",
                "count - fewest <= term.max_skew",
                "count - fewest <= term.max_skew + 1",
            ),
            (
                "budgets allow one more",
                "PodPackingCpsat._budgets",
                "evicted <= budget.allowed",
                "evicted <= budget.allowed + 1",
            ),
            (
                "nobody is eligible anew",
                "PodPackingCpsat._pod",
                "problem.eligible[problem.pod_class[pod]][problem.node_class]",
                "np.zeros(problem.n_nodes, dtype=bool)",
            ),
        ],
    ),
    *faults(
        "pod_packing",
        "native",
        "rules",
        [
            (
                "tokens are held twice",
                "_tokens",
                ".sum()) <= 1:\n                m.model.add(sum(terms) <= 1)",
                ".sum()) <= 1:\n                m.model.add(sum(terms) <= 2)",
            ),
            ("anti-affinity lets one in", "_Domains._anti", "1 if t in others else 0", "1"),
            (
                "skews are one greater",
                "_Domains._spread",
                "there[d] - fewest <= term.max_skew",
                "there[d] - fewest <= term.max_skew + 1",
            ),
            (
                "budgets allow one more",
                "_budgets",
                "sum(evicted) <= budget.allowed",
                "sum(evicted) <= budget.allowed + 1",
            ),
        ],
    ),
]

TENSOR_MEMORY = [
    *faults(
        "tensor_memory",
        "cpsat",
        "cpsat",
        [
            (
                "the peak is a byte lower",
                "TensorMemoryCpsat._bank",
                "offset + size[b] <= ",
                "offset + size[b] - 1 <= ",
            ),
            (
                "buffers overlap",
                "TensorMemoryCpsat._bank",
                "model.add_no_overlap_2d(times, spaces)",
                "pass",
            ),
            (
                "offsets are not aligned",
                "TensorMemoryCpsat._bank",
                "step[b] * self.slot[b]",
                "1 * self.slot[b]",
            ),
            (
                "pins move",
                "TensorMemoryCpsat._blocks",
                "(0, room // step) if pin < 0 else",
                "(0, room // step) if True else",
            ),
            (
                "every bank will do",
                "TensorMemoryCpsat._blocks",
                "banks = np.flatnonzero(blocks.allowed[b]).tolist()",
                "banks = list(range(len(limit)))",
            ),
        ],
    ),
    *faults(
        "tensor_memory",
        "highs",
        "milp",
        [
            (
                "buffers overlap by a byte",
                "TensorMemoryMilp._pairs",
                "1, above - big)",
                "1, above - big - 1)",
            ),
            (
                "big M is too small",
                "TensorMemoryMilp._pairs",
                "float(self.limit)",
                "float(self.limit) / 3",
            ),
            (
                "the peak is a byte lower",
                "TensorMemoryMilp.__init__",
                "-float(step))], 1, size)",
                "-float(step))], 1, size - 1)",
            ),
        ],
    ),
    *faults(
        "tensor_memory",
        "native",
        "blocks",
        [
            (
                "aliases keep the greater alignment alone",
                "_grouped",
                "math.lcm(*problem.alignment[buffers].tolist())",
                "max(problem.alignment[buffers].tolist())",
            ),
            (
                "aliases take the space of the smallest",
                "_profile",
                "height = max((size",
                "height = min((size",
            ),
        ],
    ),
    *faults(
        "tensor_memory",
        "native",
        "driver",
        [
            (
                "peaks go by the divisor of the greatest heights",
                "Part.__init__",
                "(blocks.height, blocks.pin",
                "(blocks.size, blocks.pin",
            ),
            (
                "a refuted target raises the bound by two",
                "Part._branch",
                "(target // self.step + 1)",
                "(target // self.step + 2)",
            ),
        ],
    ),
    *faults(
        "tensor_memory",
        "rules and bounds",
        "bounds",
        [
            (
                "the topmost block is rounded up, too",
                "live_load",
                "rounded = int(_load(blocks, full).max()) - int((full - blocks.height).max())",
                "rounded = int(_load(blocks, full).max())",
            ),
        ],
    ),
]

SCRATCHPAD = [
    *faults(
        "scratchpad",
        "cpsat",
        "cpsat",
        [
            (
                "tensors overlap by a byte",
                "ScratchpadCpsat._memory",
                "self.address[t, s], size[t], ",
                "self.address[t, s], max(0, size[t] - 1), ",
            ),
            (
                "stores are free",
                "ScratchpadCpsat._tensor",
                "model.add_implication(self.load[t, s], self.stored[t])",
                "pass",
            ),
            (
                "tensors are a byte smaller",
                "ScratchpadCpsat._objective",
                "sum(size[t] * load for",
                "sum(max(0, size[t] - 1) * load for",
            ),
            (
                "the first reader needs nothing",
                "ScratchpadCpsat._tensor",
                "[*graph.consumers(t).tolist(), ",
                "[*graph.consumers(t).tolist()[1:], ",
            ),
            (
                "the scratchpad is a byte smaller",
                "ScratchpadCpsat._memory",
                "<= self.problem.capacity)",
                "<= self.problem.capacity - 1)",
            ),
        ],
    ),
    *faults(
        "scratchpad",
        "highs",
        "milp",
        [
            (
                "operators need nothing",
                "ScratchpadMilp._tensor",
                "self._add([(self.runs[i, s], 1.0), (here, -1.0)], -1, 0.0)",
                "pass",
            ),
            ("tensors overlap", "ScratchpadMilp._apart", "-1, 1.0 - self._share(low))", "-1, 1.0)"),
            (
                "stores are free",
                "ScratchpadMilp._objective",
                "terms += [(x, float(size[t])) for t, x in self.stored.items()]",
                "pass",
            ),
            (
                "the scratchpad is nine tenths",
                "ScratchpadMilp._memory",
                "self._add(row, -1, 1.0)",
                "self._add(row, -1, 0.9)",
            ),
        ],
    ),
    *faults(
        "scratchpad",
        "native",
        "gaps",
        [
            ("stores are free", "Gaps.cost", " + self.graph.size[stored].sum()", ""),
        ],
    ),
    *faults(
        "scratchpad",
        "native",
        "residency",
        [
            (
                "one byte more than is missing must leave",
                "_rows",
                "int(load[step]) - capacity, ",
                "int(load[step]) - capacity + 1, ",
            ),
        ],
    ),
    *faults(
        "scratchpad",
        "native",
        "search",
        [
            (
                "a sweep proves one too much",
                "_Task.free",
                "self.session.prove(found.bound, ",
                "self.session.prove(found.bound + 1, ",
            ),
        ],
    ),
    Fault(
        "scratchpad",
        "rules and bounds",
        "the bound is one too high",
        "scratchpad.bounds:lower_bound",
        one_more,
    ),
]

MEMORY_TIERS = [
    *faults(
        "memory_tiers",
        "cpsat",
        "rows",
        [
            (
                "memories have room for one byte more",
                "TimedRows.__init__",
                "int(problem.capacity[memory]))",
                "int(problem.capacity[memory]) + 1)",
            ),
            (
                "copies take no time",
                "TimedRows._stay",
                "self._channel[step].append((work, 1))",
                "pass",
            ),
            (
                "evictions take no time",
                "TimedRows._evictions",
                "self._channel[step] += [(after, 1), (before, -1)]",
                "pass",
            ),
            (
                "every memory is as slow as main memory",
                "TimedRows._tensor",
                "(variable, int(self.access[tensor, m]))",
                "(variable, int(self.access[tensor, 0]))",
            ),
            (
                "outputs need not be saved",
                "TimedRows._main_memory",
                "self.lower[made.valid[-1]] = 1",
                "pass",
            ),
            (
                "copies are complete a unit early",
                "TimedRows._stay",
                "[(complete, time), (progress, -1)], None, 0)",
                "[(complete, time), (progress, -1)], None, 1)",
            ),
        ],
    ),
    *faults(
        "memory_tiers",
        "highs",
        "rows",
        [
            (
                "steps take no time to compute",
                "TimedRows._times",
                "self.problem.compute[self.problem.order].tolist()",
                "(0 * self.problem.compute[self.problem.order]).tolist()",
            ),
            (
                "a tensor may be used from nowhere",
                "TimedRows._stay",
                "self._row([(made.use[j][memory], 1), (there[step - begin], -1)], None, 0)",
                "pass",
            ),
        ],
    ),
    *faults(
        "memory_tiers",
        "native",
        "gaps",
        [
            (
                "tensors stay a step longer",
                "GapProgram._occupy",
                "range(low, high)",
                "range(max(0, low - 1), high)",
            ),
        ],
    ),
    Fault(
        "memory_tiers",
        "rules and bounds",
        "the bound is one too high",
        "memory_tiers.bounds:lower_bound",
        one_more,
    ),
]

GPU_PACKING = [
    Fault(
        "gpu_packing",
        "native",
        "the bound is one too high",
        "gpu_packing.relaxation:bound",
        one_more,
    ),
    *faults(
        "gpu_packing",
        "native",
        "relaxation",
        [
            (
                "what pods are worth beyond the prices is forgotten",
                "_Relaxation._safe",
                "+ (np.maximum(0.0, worth) * self.upper).sum()",
                "",
            ),
            (
                "GPUs have half of their patterns",
                "_Relaxation._safe",
                "+ fee @ self.gpus",
                "+ fee @ self.gpus / 2",
            ),
        ],
    ),
    *faults(
        "gpu_packing",
        "native",
        "search",
        [
            (
                "nodes have twice the resources",
                "Walk._take",
                "problem.capacity.copy()",
                "2 * problem.capacity",
            ),
        ],
    ),
    *faults(
        "gpu_packing",
        "rules and bounds",
        "heuristics",
        [
            ("any GPU model will do", "best_fit", "problem.admits", "np.ones_like(problem.admits)"),
            ("GPUs hold half as much again", "free_gpus", "WHOLE, 0", "WHOLE + 500, 0"),
        ],
    ),
]
