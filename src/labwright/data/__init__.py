"""Packs, findings, splits, the sampler and the batch gather."""
