"""The scoring API: the champion behind HTTP, for callers that know nothing of how it was made."""
