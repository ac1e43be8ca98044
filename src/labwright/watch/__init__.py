"""The one renderer of report sections."""
