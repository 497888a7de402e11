"""What can go wrong, each with the exit status of the command line."""

from __future__ import annotations


class ClusterError(Exception):
    """The cluster cannot do what was asked; the message says what to do about it."""

    status = 1


class PrerequisiteError(ClusterError):
    """Something that the machine lacks; named in full before anything is started."""

    status = 2
