"""FeatureExtraction's arguments, read as loosely as OpenFace reads them."""

from dataclasses import dataclass, field

import standin_texts as texts

OUTPUTS = ("-hogalign", "-tracked", "-simalign")
VALUED = ("-f", "-fdir", "-root", "-inroot", "-out_dir", "-of", "-simsize", "-simscale", "-format_aligned", "-mloc")


@dataclass
class Options:
    """The command line. Unknown flags and their values are ignored, as OpenFace does."""

    inputs: list[tuple[str, str]] = field(default_factory=list)  # ("-f" or "-fdir", path), in order
    names: list[str] = field(default_factory=list)  # -of
    values: dict[str, str] = field(default_factory=dict)  # the last one wins
    flags: set[str] = field(default_factory=set)

    def asked(self, flag: str) -> bool:
        """Whether this output is wanted; no output flag at all means all of them."""
        return flag in self.flags or not self.flags & {*texts.GROUPS, *OUTPUTS}


def parse(arguments: list[str]) -> Options:
    options, rest = Options(), iter(arguments)
    for word in rest:
        if word not in VALUED:
            options.flags.add(word)
            continue
        value = next(rest, "")  # missing at the end: undefined in OpenFace
        if word in ("-f", "-fdir"):
            options.inputs.append((word, value))
        elif word == "-of":
            options.names.append(value)
        else:
            options.values["-root" if word == "-inroot" else word] = value
    root = options.values.get("-root")
    if root is not None:
        options.inputs = [(kind, f"{root}/{path}") for kind, path in options.inputs]
    return options
