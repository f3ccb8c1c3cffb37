"""``python -m jitsilab`` is the command ``jitsilab``."""

import sys

from jitsilab.cli import main

sys.exit(main())
