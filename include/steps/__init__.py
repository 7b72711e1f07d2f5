"""One module per DAG, one function per task: read, call pure functions, write, return a small record."""
