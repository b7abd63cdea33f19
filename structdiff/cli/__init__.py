"""The command line: one file a command. Every option of a run is a field of the library's own settings."""
