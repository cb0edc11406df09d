"""Other tools' setups, each read into the same `Takeover`: one file per source."""
