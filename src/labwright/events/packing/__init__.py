"""From tables to a pack, and from a pack to tensors."""
