"""What people sign and keep: the record of a verdict with its page, and the card of a model."""
