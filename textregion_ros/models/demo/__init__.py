"""The bundled demo models: configurations, weights and their checksums."""
