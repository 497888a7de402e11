"""Pegbox tunes the numbers inside Kubernetes workloads, in small verified steps."""

__version__ = "0.1.0"
