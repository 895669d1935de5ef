"""Faults in the scheduling families."""

from fault import Fault, faults, one_more

JOB_SHOP = [
    *faults(
        "job_shop",
        "cpsat",
        "cpsat",
        [
            (
                "machines take any number at a time",
                "JobShopCpsat._machines",
                "if len(intervals) > 1:",
                "if len(intervals) > 99:",
            ),
            (
                "lags are forgotten",
                "JobShopCpsat._chains",
                ">= self.end[op] + lag[op])",
                ">= self.end[op])",
            ),
            (
                "operations of a job overlap",
                "JobShopCpsat._chains",
                ">= self.end[op] + lag[op])",
                ">= self.start[op] + lag[op])",
            ),
            (
                "no-wait is only a wait",
                "JobShopCpsat._chains",
                "model.add(self.start[op + 1] == self.end[op] + lag[op])",
                "pass",
            ),
            (
                "short transports take no time",
                "JobShopCpsat._chains",
                "elif gap > lag[op]:",
                "elif gap > lag[op] + 2:",
            ),
            (
                "an operation may have no machine",
                "JobShopCpsat._operations",
                "model.add_exactly_one(self.presence",
                "model.add_at_most_one(self.presence",
            ),
            (
                "starts begin one too late",
                "JobShopCpsat._operations",
                "model.new_int_var(head[op], ",
                "model.new_int_var(head[op] + 1, ",
            ),
            (
                "the cost loses a unit of job 0",
                "JobShopCpsat._objective",
                "self.cost >= self.end[op] - int(due[j])",
                "self.cost >= self.end[op] - int(due[j]) - (j == 0)",
            ),
            (
                "tardiness has no weights",
                "JobShopCpsat._objective",
                "int(problem.weight[j]) * cost\n",
                "cost\n",
            ),
            (
                "all jobs have the weight of the first",
                "JobShopCpsat._objective",
                "int(problem.weight[j]) * self.end[o]",
                "int(problem.weight[0]) * self.end[o]",
            ),
            (
                "blocking operations let their machines go",
                "JobShopCpsat._departures",
                "self.departure[op] = self.start[op + 1] - gap",
                "self.departure[op] = self.end[op]",
            ),
        ],
    ),
    *faults(
        "job_shop",
        "cpsat",
        "cpsat_blocking",
        [
            (
                "jobs swap where they must not",
                "EntryOrder._affine",
                "(1 if machine[0] != machine[1] else 0)",
                "0",
            ),
        ],
    ),
    *faults(
        "job_shop",
        "cpsat",
        "cpsat_setups",
        [
            (
                "setups take no time",
                "_circuit",
                "shop.departure[op] + needed)",
                "shop.departure[op])",
            ),
        ],
    ),
    *faults(
        "job_shop",
        "cpsat",
        "cpsat_calendars",
        [
            (
                "breaks are one unit shorter",
                "stay",
                "terms + lost * literal",
                "terms + max(0, lost - 1) * literal",
            ),
        ],
    ),
    *faults(
        "job_shop",
        "cpsat",
        "windows",
        [
            (
                "release dates are forgotten",
                "heads_and_tails",
                "before[first] - problem.release",
                "before[first]",
            ),
        ],
    ),
    *faults(
        "job_shop",
        "highs",
        "milp",
        [
            (
                "lags are forgotten",
                "JobShopMilp._chains",
                "step = lag[op] - constant",
                "step = -constant",
            ),
            (
                "pairs are apart one way only",
                "JobShopMilp._pairs",
                "self._before(j, i, b, back, [*choices, other_way])",
                "pass",
            ),
            (
                "big M is too small",
                "JobShopMilp._before",
                "most + setup - int(self.head[j]))",
                "most + setup - int(self.head[j]) - 3)",
            ),
            (
                "tardiness begins a unit late",
                "JobShopMilp._job_costs",
                "self._fixed_length(op) - due_date)",
                "self._fixed_length(op) - due_date - 1)",
            ),
            (
                "an operation may have no machine",
                "JobShopMilp._operations",
                "self.add(ones, 1)",
                "pass",
            ),
            ("no-wait is only a wait", "JobShopMilp._chains", "elif no_wait:", "elif False:"),
            (
                "blocking operations let their machines go",
                "JobShopMilp.departure_terms",
                "if not self.holds[op]:",
                "if True:",
            ),
        ],
    ),
    *faults(
        "job_shop",
        "highs",
        "milp_variants",
        [
            (
                "breaks are one unit shorter",
                "_Break.add",
                "(across, end - begin)",
                "(across, end - begin - 1)",
            ),
        ],
    ),
    Fault(
        "job_shop",
        "rules and bounds",
        "the bound is one too high",
        "job_shop.bounds:lower_bound",
        one_more,
    ),
    *faults(
        "job_shop",
        "rules and bounds",
        "bounds",
        [
            (
                "weights are counted twice",
                "job_bound",
                "int((problem.weight * end).sum())",
                "int((2 * problem.weight * end).sum())",
            ),
        ],
    ),
    *faults(
        "job_shop",
        "native",
        "shop",
        [
            (
                "the tabu search forgets gaps",
                "Shop._fill",
                "self.tm[kernels.GAP, self.node] = gaps(self.problem)",
                "pass",
            ),
        ],
    ),
]

SINGLE_MACHINE = [
    *faults(
        "single_machine",
        "cpsat",
        "cpsat",
        [
            (
                "jobs overlap",
                "SingleMachineCpsat.__init__",
                "if problem.n_jobs > 1:",
                "if problem.n_jobs > 99:",
            ),
            (
                "the first precedence is lost",
                "SingleMachineCpsat.__init__",
                "problem.precedence.tolist():",
                "problem.precedence.tolist()[1:]:",
            ),
            (
                "setups are transposed",
                "SingleMachineCpsat._setups",
                "+ setup[i][j]",
                "+ setup[j][i]",
            ),
            (
                "jobs a unit late count as on time",
                "SingleMachineCpsat._objective",
                "model.add(s + length <= d)",
                "model.add(s + length <= d + 1)",
            ),
            (
                "tardiness is that of the start",
                "SingleMachineCpsat._objective",
                "model.add(tardiness >= s + length - d)",
                "model.add(tardiness >= s - d)",
            ),
            (
                "lateness is that of the start",
                "SingleMachineCpsat._objective",
                "model.add(self.cost >= s + length - d)",
                "model.add(self.cost >= s - d)",
            ),
            (
                "unweighted tardiness is weighted",
                "SingleMachineCpsat._objective",
                'weight[j] if kind == "total_weighted_tardiness" else 1',
                "weight[j]",
            ),
        ],
    ),
    *faults(
        "single_machine",
        "highs, positional",
        "formulations",
        [
            (
                "places take any number of jobs",
                "Positional._place",
                "self._add([(row[j], 1) for row in self.assigned], 0, 1)",
                "pass",
            ),
            (
                "places are a unit shorter",
                "Positional._place",
                "(row[k - 1], -p[j])",
                "(row[k - 1], -max(0, p[j] - 1))",
            ),
            ("release dates are forgotten", "Positional._place", "if released:", "if False:"),
            (
                "an inequality cuts too deep",
                "Positional._least_work",
                "*terms], 1, p[j])",
                "*terms], 1, p[j] + 1)",
            ),
            (
                "the load is too high",
                "Positional._place",
                "for length in p)) / 2",
                "for length in p)) / 2 + 1",
            ),
        ],
    ),
    *faults(
        "single_machine",
        "highs, time-indexed",
        "formulations",
        [
            (
                "two jobs at a time",
                "TimeIndexed._place",
                "self._add([(x, 1) for x in running], -1, 1)",
                "self._add([(x, 1) for x in running], -1, 2)",
            ),
            (
                "precedence is lost",
                "TimeIndexed._place",
                "problem.precedence.tolist():",
                "problem.precedence.tolist()[:0]:",
            ),
            (
                "ends are counted from the first start",
                "TimeIndexed.completion",
                "float(self.first[job] + self.problem.processing[job])",
                "float(self.problem.processing[job])",
            ),
        ],
    ),
    *faults(
        "single_machine",
        "highs, linear-ordering",
        "formulations",
        [
            ("orders may be cycles", "LinearOrdering._place", "self._add(cycle, -1, 1)", "pass"),
            (
                "big M is too small",
                "LinearOrdering._ends",
                "max(0, latest[i] - head[j])",
                "max(0, latest[i] - head[j] - 4)",
            ),
            (
                "precedence is the other way round",
                "LinearOrdering._place",
                "self._add([(self.order[i, j], 1)], 1, 1)",
                "self._add([(self.order[i, j], 1)], -1, 0)",
            ),
        ],
    ),
    *faults(
        "single_machine",
        "native",
        "search",
        [
            (
                "jobs of weight 1 are taken for ones of none",
                "_Task.run",
                "core = np.flatnonzero((p > 0) & (w > 0))",
                "core = np.flatnonzero((p > 0) & (w > 1))",
            ),
            (
                "a bound is one too high",
                "_Task._decompose",
                'weight * value + self.constant, "decomposition"',
                'weight * value + self.constant + 1, "decomposition"',
            ),
            (
                "jobs of no weight are lost",
                "_Task._offer",
                "self.core[order], self.back",
                "self.core[order], self.back[:0]",
            ),
        ],
    ),
    *faults(
        "single_machine",
        "rules and bounds",
        "bounds",
        [
            ("due dates are not sorted", "chu", "- np.sort(due)", "- due"),
            (
                "jobs that are on time count as late",
                "moore",
                "if end > due[job]:",
                "if end >= due[job]:",
            ),
            (
                "completions are not in Smith's order",
                "smith",
                "np.cumsum(processing[order])",
                "np.cumsum(processing)",
            ),
        ],
    ),
]

RCPSP = [
    *faults(
        "rcpsp",
        "cpsat",
        "cpsat",
        [
            (
                "lags from start to end begin at the end",
                "RcpspCpsat._lags",
                "kind in (1, 3)",
                "kind in (1,)",
            ),
            ("lags take no time", "RcpspCpsat._lags", "until >= begin + least", "until >= begin"),
            (
                "capacities are one higher",
                "RcpspCpsat._resources",
                "model.add_cumulative(intervals, demands, most)",
                "model.add_cumulative(intervals, demands, most + 1)",
            ),
            (
                "resources are never down",
                "RcpspCpsat._resources",
                "demands.append(amount)",
                "demands.append(0)",
            ),
            (
                "disjunctive activities overlap",
                "RcpspCpsat._exclusions",
                "self._no_overlap(group)",
                "pass",
            ),
            ("consumption is not limited", "RcpspCpsat._consumption", "if terms:", "if False:"),
            (
                "tardiness has no weights",
                "RcpspCpsat._tardiness",
                "int(weight) * tardiness",
                "tardiness",
            ),
            (
                "activities with successors of any kind do not count",
                "RcpspCpsat._makespan",
                "self.problem.lag[plain, 0]",
                "self.problem.lag[:, 0]",
            ),
            ("values are rounded down", "RcpspCpsat._value", "high + 1] + 0.5)", "high + 1])"),
            (
                "levels count activities",
                "RcpspCpsat._levelling",
                "sum(way.demand[k] * on ",
                "sum(1 * on ",
            ),
        ],
    ),
    *faults(
        "rcpsp",
        "cpsat",
        "variants",
        [
            (
                "activities reach a unit into a break",
                "_between",
                "(a, b - duration)",
                "(a, b - duration + 1)",
            ),
            (
                "modes that take the rest of a stock are dropped",
                "usable_modes",
                "usable &= need <= rest",
                "usable &= need < rest",
            ),
        ],
    ),
    *faults(
        "rcpsp",
        "highs, time-indexed",
        "milp_times",
        [
            (
                "lags are a unit longer",
                "TimeIndexed._lags",
                "if point < t + least]",
                "if point <= t + least]",
            ),
            (
                "capacities are one higher",
                "TimeIndexed._capacities",
                "self._add(terms, -1, level)",
                "self._add(terms, -1, level + 1)",
            ),
            (
                "everybody needs one of a resource",
                "TimeIndexed._capacities",
                "running[k, u].append((x, float(need)))",
                "running[k, u].append((x, 1.0))",
            ),
            (
                "tangents are too low",
                "TimeIndexed._levelling",
                "-level * (level + 1))",
                "-level * (level + 2))",
            ),
            (
                "projects are never late",
                "TimeIndexed._tardiness",
                "range(problem.n_projects)",
                "range(0)",
            ),
            (
                "activities may run twice",
                "TimeIndexed._places",
                "self._add([(x, 1.0) for _, _, x in own], 0, 1)",
                "self._add([(x, 1.0) for _, _, x in own], 1, 1)",
            ),
        ],
    ),
    *faults(
        "rcpsp",
        "highs, event-based",
        "milp_events",
        [
            (
                "durations are a unit longer",
                "OnOffEvents._activity",
                "*ended], 1, -length)",
                "*ended], 1, 1 - length)",
            ),
            (
                "precedence is lost",
                "OnOffEvents._precedence",
                "self.problem.lag.tolist():",
                "self.problem.lag.tolist()[:0]:",
            ),
            (
                "capacities are one higher",
                "OnOffEvents._resources",
                "self._add(terms, -1, capacity)",
                "self._add(terms, -1, capacity + 1)",
            ),
        ],
    ),
    Fault(
        "rcpsp",
        "rules and bounds",
        "the bound is one too high",
        "rcpsp.bounds:lower_bound",
        one_more,
    ),
]
