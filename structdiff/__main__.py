"""``python -m structdiff`` is the command line."""

from __future__ import annotations

import sys

from structdiff.cli.main import main

sys.exit(main())
