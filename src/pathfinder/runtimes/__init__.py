"""Container runtimes behind one port, and the client libraries of their daemons."""
