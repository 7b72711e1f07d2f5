"""Small state in a database: runs, sources, publications, requests, decisions and promotions."""
