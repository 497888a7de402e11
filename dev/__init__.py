"""Tools for developing Pegbox; nothing here is shipped."""
