"""What was parsed before: the same version of an object says the same, and is parsed once."""

from __future__ import annotations

from dataclasses import dataclass

from pegbox.api import ledger_codec
from pegbox.api.translate import Context, to_model
from pegbox.model.profile import ProfileSpec
from pegbox.model.trials import Ledger
from pegbox.ports import Object


@dataclass
class Parsed:
    """What this process made of one profile with its class, and of its ledger, when it read them last."""

    spec_version: tuple[object, ...] = ()
    spec: ProfileSpec | None = None
    ledger_version: tuple[str, str] = ("", "")
    ledger: Ledger | None = None

    def merged(self, profile: Object, class_: Object, context: Context) -> ProfileSpec:
        """Raises InvalidInput."""
        each = [(body["metadata"].get("uid"), body["metadata"].get("generation")) for body in (profile, class_)]
        version = (*each[0], *each[1], context)
        if self.spec is None or version != self.spec_version or None in version:
            self.spec, self.spec_version = to_model(profile, class_, context), version
        return self.spec

    def decoded(self, body: Object) -> Ledger:
        """Raises InvalidInput."""
        version = (str(body["metadata"].get("uid", "")), str(body["metadata"].get("resourceVersion", "")))
        if self.ledger is None or version != self.ledger_version or "" in version:
            self.ledger, self.ledger_version = ledger_codec.decode(body), version
        return self.ledger
