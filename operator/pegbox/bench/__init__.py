"""The benchmark: how well Pegbox tunes, forecasts and rolls back, beside honest company, on measurements of others.

`pegbox bench NAME`. The only place beside `learning` for numpy and scikit-learn; importing this package imports
neither. Definitions: docs/benchmarks.md.
"""
