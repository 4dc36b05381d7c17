"""The state server: composition, the one writer, parked exchanges, signals."""
