"""Reading: files of whatever format, by whatever address, as tables of events."""
