"""The issue processor: a real workload whose numbers Pegbox tunes while it runs."""
