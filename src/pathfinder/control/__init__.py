"""State and command in, change out; and the queries. No I/O: time and luck are arguments."""
