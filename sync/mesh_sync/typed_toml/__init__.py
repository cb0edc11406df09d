"""TOML and JSON to attrs types, strictly and with every problem at once; the only such mechanism. Pure."""
