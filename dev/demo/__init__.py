"""The demo: a badly set workload on a real cluster, tuned by Pegbox, then broken on purpose."""
