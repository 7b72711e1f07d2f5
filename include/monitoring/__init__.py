"""What is in production, compared with what it was trained on."""
