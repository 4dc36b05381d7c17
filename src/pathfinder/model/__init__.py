"""Nouns of the domain: names, resources, definitions, the phase table, errors. Pure."""
