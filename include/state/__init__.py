"""Small state in a database: runs, sources, publications, requests, decisions, overrides, promotions, notices."""
