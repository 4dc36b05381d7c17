"""Property tests depend on no speed: a busy machine is no counterexample."""

from hypothesis import settings

from tests.support.examples import EXAMPLES

settings.register_profile("at any speed", deadline=None, max_examples=EXAMPLES)
settings.load_profile("at any speed")
