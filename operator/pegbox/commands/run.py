"""`pegbox run`: the operator."""

from __future__ import annotations

from argparse import Namespace

from pegbox.runtime import settings


def main(arguments: Namespace) -> int:
    """Settings are read before anything else is imported: a wrong file is told at once. Raises InvalidInput."""
    read = settings.load(arguments.config)
    from pegbox.runtime import wiring

    return wiring.main(read, arguments.kubeconfig)
