"""The outside world: one folder per outside system. The only place of IO and of its client libraries."""
