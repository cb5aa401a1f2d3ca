"""The label policy: which of a corpus' classes are used, in what order, and which of them are one."""

from collections import Counter
from dataclasses import dataclass, replace

from fer_prep.corpora.recording import Corpus, Remark
from fer_prep.errors import UsageError

HOW = "write 'anger,fear' (only these, in this order), '-contempt' (all but this), or 'neutral=neutral+calm' (as one)"


@dataclass(frozen=True)
class Rule:
    """One item of `--classes`: these classes of the corpus become one called `name`; None: they are dropped."""

    name: str | None
    parts: tuple[str, ...]
    is_plain: bool


def choose_classes(corpus: Corpus, items: tuple[str, ...] | None) -> Corpus:
    """The corpus with some classes dropped or merged; recordings of dropped classes are left out.

    Args:
        items: plain names are the classes to keep, in their order; `new=a+b` makes one class of several, `-name` drops
            one. Without a plain name, classes that are not mentioned stay, all in the corpus' own order, a merged one
            in the place of its first part. None: everything stays. Where nothing is labelled and the corpus has no
            classes, plain names are the classes of the model that these recordings are for.

    Raises:
        UsageError: a class is not in the corpus, or is mentioned twice, or no recording is left.
    """
    if items is None:
        return corpus
    rules = [_parse(item.strip()) for item in items]
    if not corpus.classes and all(rule.is_plain for rule in rules):
        corpus = replace(corpus, classes=tuple(dict.fromkeys(rule.parts[0] for rule in rules)))
    _check(corpus, rules)
    new_name = {part: rule.name for rule in rules for part in rule.parts}
    if any(rule.is_plain for rule in rules):
        order = [rule.name for rule in rules]
    else:
        order = [new_name.setdefault(name, name) for name in corpus.classes]
    recordings = tuple(
        replace(recording, label=recording.label and new_name[recording.label])
        for recording in corpus.recordings
        if recording.label is None or new_name.get(recording.label) is not None
    )
    dropped = tuple(
        Remark(f"class dropped: {recording.label}", recording.file)
        for recording in corpus.recordings
        if recording.label is not None and new_name.get(recording.label) is None
    )
    classes = tuple(dict.fromkeys(name for name in order if name is not None))
    if not classes:
        raise UsageError(f"--classes {','.join(items)} leaves no class of {corpus.name}; {HOW}")
    if not recordings:
        raise UsageError(f"--classes {','.join(items)} leaves none of {len(corpus.recordings)} recordings; {HOW}")
    return replace(corpus, classes=classes, recordings=recordings, left_out=corpus.left_out + dropped)


def _parse(item: str) -> Rule:
    if item.startswith("-"):
        return Rule(None, (item[1:].strip(),), is_plain=False)
    name, merges, parts = item.partition("=")
    if merges:
        return Rule(name.strip(), tuple(part.strip() for part in parts.split("+")), is_plain=False)
    return Rule(item, (item,), is_plain=True)


def _check(corpus: Corpus, rules: list[Rule]) -> None:
    parts = Counter(part for rule in rules for part in rule.parts)
    names = Counter(rule.name for rule in rules if rule.name is not None)
    if not all(names) or not all(parts):
        raise UsageError(f"--classes has a class without a name; {HOW}")
    unknown = [part for part in parts if part not in corpus.classes]
    if unknown:
        raise UsageError(
            f"--classes names {unknown[0]!r}; the classes of {corpus.name} are {', '.join(corpus.classes)}: {HOW}"
        )
    # a merged class may take over the name of a class only where that class goes away
    taken_over = [name for name in names if name in corpus.classes and name not in parts]
    repeated = [name for name, n in (*parts.items(), *names.items()) if n > 1] + taken_over
    if repeated:
        raise UsageError(f"--classes has two meanings for {repeated[0]!r}; {HOW}")
