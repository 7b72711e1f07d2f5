"""The steps of ``<use case>_monitor``: what serves, held against what it was trained on and against its labels."""
