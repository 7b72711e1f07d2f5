"""MLflow: what was tried, which versions there are, and which of them serves."""
