"""Figures of weighted events, whatever they are of."""
