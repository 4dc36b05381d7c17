"""One module for each command of `pfi`, loaded when it is called."""
