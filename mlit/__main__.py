"""Make ``python -m mlit`` the same as ``mlit``."""

import sys

from mlit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
