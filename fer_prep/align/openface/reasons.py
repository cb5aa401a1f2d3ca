"""What OpenFace says, and what it means: only its messages tell causes apart, for its exit codes tell nothing."""

# words of a line -> kind of failure, as the ledger counts them
MEANINGS = {
    "Could not find CEN patch experts": "OpenFace lacks the weights of its model",
    "Could not find the landmark detection model": "OpenFace lacks its model",
    "Could not load the landmark detector": "OpenFace lacks its model",
    "could not open the output file": "OpenFace cannot write",
    "The output CSV file is not open": "OpenFace cannot write",
    "Could not output similarity aligned image": "OpenFace cannot write",
    "filesystem::create_director": "OpenFace cannot write",
    "No space left": "OpenFace cannot write",
    "Failed to open the video file": "OpenFace cannot open it",
    "Provided directory does not exist": "OpenFace cannot open it",
    "No images found in the directory": "OpenFace cannot open it",
}
HOPELESS = ("OpenFace lacks its model", "OpenFace lacks the weights of its model")  # nothing gained by a second try


def explain(said: str, *paths: str) -> tuple[str, str] | None:
    """Kind of failure and the line that tells it; None: nothing that is known was said.

    Args:
        paths: names of inputs, which may hold any words.
    """
    for line in said.splitlines():
        words_only = line
        for path in paths:
            words_only = words_only.replace(path, "")
        for words, kind in MEANINGS.items():
            if words in words_only and not line.startswith("Attempting to read"):
                return kind, line.strip()
    return None
