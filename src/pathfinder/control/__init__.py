"""State and command in, change out; and the queries. No I/O: time, identifiers and luck are arguments."""
