"""The whole platform in one thread under virtual time, by seed."""
