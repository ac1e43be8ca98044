"""What four jets tell: pairings, masses, regions, weights; pure functions of arrays."""
