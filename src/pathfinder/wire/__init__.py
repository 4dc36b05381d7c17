"""Messages between node and server, their JSON, and WebSocket frames. Pure."""
