"""What the training loop is given, and what it leaves."""
