"""Where the measurements of others are. None of them is part of this repository."""

from __future__ import annotations

from pathlib import Path

DEFAULT = Path("../shared/data")
SOURCES = {
    "kruize": "github.com/kruize/autotune-results, techempower/experiment-*, Apache-2.0",
    "tables": "github.com/ideas-labo/model4tune, Data/*.csv, Apache-2.0",
    "traces/worldcup98.csv": "github.com/nimamahmoudi/worldcup98-dataset, summed per minute, MIT",
    "traces": "github.com/microsoft/autothrottle, traces/, MIT",
    "latency": "github.com/romilbhardwaj/cilantro, a fixed-allocation run on EKS, MIT",
}


def folder(given: Path | None) -> Path | None:
    """The one that was named, else the default where it exists, else None."""
    if given is not None:
        return given
    return DEFAULT if DEFAULT.is_dir() else None


def source(name: str) -> str:
    """Where a file can be had, for the line that says that it is missing."""
    found = next((text for prefix, text in SOURCES.items() if name.startswith(prefix)), "")
    return f"{name} is not here{': it can be had from ' + found if found else ''}; name its folder with --data DIR"
