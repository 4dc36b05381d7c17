"""The error that a person at `./dev` sees: the same that `pathfinder lab` tells."""

from pathfinder.lab import trouble

Trouble = trouble.Trouble
