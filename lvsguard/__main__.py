"""``python -m lvsguard`` is the same as ``lvsguard``."""

from lvsguard.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
