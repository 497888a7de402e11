"""The prior for cold starts: learned over random workloads, judged on workloads and families that it never saw."""
