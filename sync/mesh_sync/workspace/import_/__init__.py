"""Other tools' set-ups, each read into the same `Takeover`: one file per source. They read, and write nothing."""
