"""Programs for developers: what `./dev` does, in the standard library alone."""
