"""`pfi`: what people type."""
