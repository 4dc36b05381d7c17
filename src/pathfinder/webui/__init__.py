"""The web UI: files that are built from `webui/`, and how a browser is given them."""
