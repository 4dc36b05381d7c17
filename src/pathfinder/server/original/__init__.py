"""Taking over what the original Pathfinder has in its database."""
