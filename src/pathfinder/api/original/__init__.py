"""The API of the original Pathfinder, v1 and v2, for its clients as they are."""
