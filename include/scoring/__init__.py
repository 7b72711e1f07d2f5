"""Batch scoring: which rows, in which parts, how a part is scored, and what people get of it."""
