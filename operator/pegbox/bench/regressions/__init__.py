"""Streams of latencies, the watches cut from them, and the rules that look for a regression in a watch."""
