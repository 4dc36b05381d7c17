"""Where a container goes: one feasibility function over columns of nodes. Pure; numpy only here."""
