"""The operator under load and faults: a fleet on a real API server, with a proxy in between that breaks its calls."""
