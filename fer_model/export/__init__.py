"""From a finished run to files that other programs run."""
