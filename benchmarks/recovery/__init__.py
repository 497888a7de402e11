"""How long it takes until a workload is at last-known-good or accepted again, after each kind of end of something."""
