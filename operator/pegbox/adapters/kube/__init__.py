"""Kubernetes: the API server behind `ports.Cluster`, and pure decoding of what it sends."""
