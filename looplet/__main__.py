"""`python -m looplet`."""

import sys

from looplet.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
