"""A colour for each class, as far apart as colours can be."""

# Okabe and Ito 2008, for all kinds of colour vision, without their yellow, which white paper swallows; then darker ones
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8B4513", "#6A3D9A", "#7F7F7F")


def class_colours(n: int) -> list[str]:
    """`n` colours; after ten they come again."""
    return [COLOURS[k % len(COLOURS)] for k in range(n)]
