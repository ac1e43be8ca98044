"""Puts runs on machines: this one, Slurm, HTCondor, and containers on each. A job is argv and resources; rendering is pure text."""
