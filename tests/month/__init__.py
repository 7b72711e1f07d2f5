"""A month in production, played through the real API and the real scheduler: ``python -m tests.month``."""
