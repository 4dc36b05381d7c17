"""HTTP: the native API v3, its errors and its OpenAPI document."""
