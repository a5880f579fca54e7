"""``python -m hotplate``: the same as the program ``hotplate``."""

import sys

from hotplate.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
