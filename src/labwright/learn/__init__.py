"""The training loop, checkpoint state, devices, networks and schedules."""
