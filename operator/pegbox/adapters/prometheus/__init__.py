"""Prometheus-compatible servers: query texts, the client, and the decoding of answers."""
