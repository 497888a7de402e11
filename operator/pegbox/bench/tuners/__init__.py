"""Everybody who tunes in the benchmark: Pegbox and its company, all told the same (docs/benchmarks.md)."""
