"""The commands behind ``make`` and ``python -m include``."""
