"""A client library for LXD's REST API; see docs/lxd-client.md. Standard library only."""
