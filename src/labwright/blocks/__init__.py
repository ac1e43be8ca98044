"""Block geometry: grids, halos and tiles."""
