"""``python -m labwright``: the payload of every job script, and the command line by another name."""

from labwright.cli import enter

if __name__ == "__main__":
    raise SystemExit(enter())
