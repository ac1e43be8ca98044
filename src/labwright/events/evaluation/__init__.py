"""What scores are worth: areas, curves, calibration, closure; figures, pages and plots."""
