"""Images without Docker: Debian's packages and the hashed lock, wrapped as OCI archives. One recipe each."""
