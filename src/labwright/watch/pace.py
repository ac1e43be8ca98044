"""How long it will take: from the pace of late and the pace on the whole, which together say how sure that is."""

from __future__ import annotations

from collections.abc import Sequence


def time_left(seen: Sequence[tuple[float, float]], total: float, now: float) -> tuple[float, float] | None:
    """The least and the most seconds that are left.

    Args:
        seen: (seconds since 1970, amount done), oldest first.
        total: the amount to do.
        now: seconds since 1970; what was left at the last point has shrunk since.

    Returns:
        None where no pace can be told yet.
    """
    points, rates = list(seen), []
    for begin in (0, len(seen) // 2, max(0, len(seen) - 4)):
        window = points[begin:]
        if len(window) >= 2 and window[-1][0] > window[0][0] and window[-1][1] > window[0][1]:
            rates.append((window[-1][1] - window[0][1]) / (window[-1][0] - window[0][0]))
    if not rates:
        return None
    since = max(0.0, now - seen[-1][0])
    left = [max(0.0, (total - seen[-1][1]) / rate - since) for rate in rates]
    return min(left), max(left)


def in_words(left: tuple[float, float] | None) -> str:
    """``about 4 min left``, ``4 to 9 min left`` where the paces disagree, or nothing."""
    if left is None:
        return ""
    least, most = left
    if most < 1:
        return "nearly done"
    if most - least <= max(5.0, 0.15 * most):
        return f"about {span(most)} left"
    low, high = span(least), span(most)
    if low == high:
        return f"about {high} left"
    number, _, unit = low.partition(" ")
    # "4 to 9 min" and not "4 min to 9 min"
    return f"{number if high.partition(' ')[2] == unit else low} to {high} left"


def span(seconds: float) -> str:
    """A length of time with two digits: ``40 s``, ``12 min``, ``3 h 20 min``, ``2 d 5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"
