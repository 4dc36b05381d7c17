"""Property tests depend on no speed: a busy machine is no counterexample."""

from hypothesis import settings

settings.register_profile("at any speed", deadline=None)
settings.load_profile("at any speed")
