"""Scores of events: by models that never saw them, as tables and as friends."""
