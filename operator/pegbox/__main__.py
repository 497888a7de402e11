"""`python -m pegbox` is the command `pegbox`."""

from pegbox.cli import main

raise SystemExit(main())
