"""Verbs: pure functions over the nouns of pegbox.model. No IO, clock, chance or logging."""
