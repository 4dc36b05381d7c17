"""A client library for the API v3."""
