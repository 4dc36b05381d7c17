"""Property tests depend on no speed: a busy machine is no counterexample."""

import os

from hypothesis import settings

# `./dev check` tries fewer cases than `./dev test`.
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))

settings.register_profile("at any speed", deadline=None, max_examples=EXAMPLES)
settings.load_profile("at any speed")
