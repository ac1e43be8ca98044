"""The networks, and the operations that make them fast."""
