"""A cluster of several real nodes on one machine, to try Pathfinder and to test on."""
