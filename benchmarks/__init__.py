"""The operator's own figures: what it costs, measured on a real API server and a real Prometheus."""
