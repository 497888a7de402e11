"""The wire: pydantic models of the four kinds, their CRDs, and the way between them and pegbox.model."""
