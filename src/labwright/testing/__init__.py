"""Contract tests and hostile inputs that recipes inherit."""
