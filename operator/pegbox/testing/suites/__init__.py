"""Claims per port: plain async functions that run unchanged on the fake and on the real thing."""
