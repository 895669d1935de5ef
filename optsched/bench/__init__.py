"""Benchmark campaigns: suites, a runner that survives, verification, reports."""
