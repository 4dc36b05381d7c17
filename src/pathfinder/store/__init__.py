"""The journal: where the state survives. `port` says what an engine owes; the engines follow."""
