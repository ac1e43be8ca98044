"""Parts of a step, shares of parts, claims on shares, and the local pool."""
