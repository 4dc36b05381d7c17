"""Pathfinder: many machines, managed as if they were one big computer."""
