"""How many cases a property test tries: `./dev check` says fewer than `./dev test`."""

import os

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))
