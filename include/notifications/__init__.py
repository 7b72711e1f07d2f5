"""What people are told of a run: what is said, how it is worded, and how it gets to them. Nothing here fails a run."""
