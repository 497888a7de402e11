"""Nouns: frozen values that the whole package speaks in. Standard library only, no IO, no clock."""
