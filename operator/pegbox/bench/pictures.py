"""Pictures as SVG text, the same bytes for the same figures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

Points = Sequence[tuple[float, float]]


def lines(title: str, axes: tuple[str, str], series: Mapping[str, Points], *, dots: bool = False) -> str:
    """One line (or, with `dots`, dots joined by a line) per name. Raises ModuleNotFoundError without matplotlib."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "pegbox", "svg.fonttype": "none"}):
        figure = Figure(figsize=(7.0, 4.2), layout="constrained")
        plot = figure.subplots()
        for name, points in series.items():
            xs, ys = [x for x, _ in points], [y for _, y in points]
            ours = name == "pegbox"
            plot.plot(xs, ys, label=name, linewidth=2.4 if ours else 1.1, marker="o" if dots else None, markersize=3)
        plot.set_title(title, loc="left")
        plot.set_xlabel(axes[0])
        plot.set_ylabel(axes[1])
        plot.grid(alpha=0.3)
        plot.legend(frameon=False, fontsize="small")
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
