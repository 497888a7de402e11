"""The development cluster: an existing one, kind, or a real Kubernetes built from Go modules.

Standard library only, so that it runs before anything is installed: `python3 -m dev.cluster up`.
"""
