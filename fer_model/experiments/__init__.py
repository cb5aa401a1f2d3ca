"""Sets of runs: networks, folds and seeds by one command."""
