"""The steps of ``<use case>_retrain``: from a window of published days to a champion, or to the reason why not."""
