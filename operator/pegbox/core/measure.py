"""What is measured: figures from before an edit of it are of something else. Pure."""

from __future__ import annotations

from pegbox.model.knobs import values_hash
from pegbox.model.profile import ProfileSpec
from pegbox.model.trials import Intent


def digest(spec: ProfileSpec) -> str:
    """Of all that goes into a window: the class's expressions, the matchers, what each SLO counts as good, the length.

    Goals, and how many events prove something, are not of it: the same figures are judged otherwise.
    """
    told = {f"signal {s.name}": [s.kind, s.purpose, s.expr, s.sum_expr, s.count_expr, s.knob] for s in spec.signals}
    told |= {f"slo {s.name}": [s.signal, str(s.threshold)] for s in spec.slos}
    told |= {f"matcher {name}": [text] for name, text in spec.matchers}
    told |= {"window": [str(spec.guards.trial_window)]}
    return values_hash({name: "\n".join(texts) for name, texts in told.items()})


def edited(spec: ProfileSpec, intent: Intent) -> bool:
    """Is another thing measured than when the trial began? Then nothing can be held against its parent's figures."""
    return intent.measured not in ("", digest(spec))
