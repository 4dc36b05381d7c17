"""The agent of a node: a pure core and dull threads. Standard library only."""
