"""Why a model scores as it does. Nothing here shapes a model or a verdict, so it stays out of the fingerprint."""
