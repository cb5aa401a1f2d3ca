"""How right the decisions for labelled recordings are, apart for what was held out of the training and what was not."""

from collections.abc import Sequence
from dataclasses import asdict

import torch

from fer_model.evaluate import Scores, measure
from fer_model.predict.decisions import Decision, Part
from fer_model.rundir import Json


def scores_by_part(decisions: Sequence[Decision], *, n_classes: int) -> dict[Part, Scores]:
    """Measures over the labelled recordings of each part that have a decision; parts without one are left out."""
    scores = {}
    for part in Part:
        judged = [
            (decision.vote.choice, decision.recording.label)
            for decision in decisions
            if decision.part is part and decision.vote is not None and decision.recording.label >= 0
        ]
        if judged:
            choices, labels = torch.tensor(judged).T
            scores[part] = measure(choices, labels, n_classes=n_classes)
    return scores


def meaning(part: Part) -> str:
    """What the measures of a part are worth."""
    return {
        Part.TEST: "held out: the run was tested on these recordings, and not trained on them",
        Part.VALIDATION: "no test result: the run was validated on these recordings",
        Part.TRAINING: "no held-out result: the run was trained on these recordings",
        Part.UNKNOWN: "these are not the shards of the run: whether it was trained on these persons, only you know",
    }[part]


def scores_json(scores: dict[Part, Scores]) -> Json:
    """The measures as predict.json keeps them."""
    return {part.value: {"meaning": meaning(part), **asdict(s)} for part, s in scores.items()}
