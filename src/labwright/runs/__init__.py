"""Run folders: publishing, journals, energy, report sections, signals, exit codes and errors."""
