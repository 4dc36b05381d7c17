"""A client library for Docker's Engine API; see docs/docker-client.md. Standard library only."""
