"""The command line: verbs, completion, tables and progress bars."""
