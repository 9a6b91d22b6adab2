"""What is true of a scene of test/space/scenes.py by a margin: yes, no, or None for neither.

From the things' own geometry in the table's frame, never from what the library measures.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from test.support.block_scenes import KINDS
from textregion_ros.language import read
from textregion_ros.language.resolving import resolve


def heading(along, across, yes=40.0, no=100.0):
    angle = np.degrees(np.arctan2(abs(across), along))
    return True if angle <= yes else False if angle >= no else None


def ground(one, other):
    return one.at - other.at


def seen(one, other):
    return np.subtract(one.seen, other.seen)


def stands_on(one, other):
    return bool(np.allclose(one.at, other.at) and one.foot > other.foot)


def apart(one, other):
    if np.allclose(one.at, other.at):
        return 0.0
    return float(np.hypot(*ground(one, other))) - one.radius - other.radius


def level(rule):
    """A relation of things that stand side by side; None for what is stacked."""
    return lambda a, b: None if stands_on(a, b) or stands_on(b, a) else rule(a, b)


def within(value, yes, no):
    return True if value <= yes else False if value >= no else None


RULES = {
    "left of": level(lambda a, b: heading(-ground(a, b)[0], ground(a, b)[1])),
    "right of": level(lambda a, b: heading(ground(a, b)[0], ground(a, b)[1])),
    "in front of": level(lambda a, b: heading(-ground(a, b)[1], ground(a, b)[0])),
    "behind": level(lambda a, b: heading(ground(a, b)[1], ground(a, b)[0])),
    "above": lambda a, b: heading(-seen(a, b)[1], seen(a, b)[0]),
    "below": lambda a, b: heading(seen(a, b)[1], seen(a, b)[0]),
    "next to": level(lambda a, b: within(apart(a, b), 0.03, 0.2)),
    "far from": level(lambda a, b: within(-apart(a, b), -0.3, -0.06)),
    "on": lambda a, b: None if b.hollow else stands_on(a, b),
    "inside": lambda a, b: stands_on(a, b) and b.hollow,
    "under": lambda a, b: None if a.hollow else stands_on(b, a),
}
# What can be an anchor of a relation.
ANCHORS = {"inside": lambda thing: thing.hollow, "on": lambda thing: not thing.hollow}


@dataclass(frozen=True)
class Question:
    """A sentence, the names it gives the scene's things, and the number of the thing it means."""

    sentence: str
    names: tuple
    answer: int


def clear(thing):
    return thing.visible >= 0.6


def name_them(scene, sentence, answers, anchors):
    """The question whose things are those with a sure answer, or None without a single yes."""
    yes = [index for index, answer in answers.items() if answer is True]
    no = [index for index, answer in answers.items() if answer is False]
    if len(yes) != 1 or not no:
        return None
    names = ["lamp"] * len(scene.things)
    for index in yes + no:
        names[index] = "mug"
    for name, index in anchors.items():
        names[index] = name
    return Question(sentence, tuple(names), yes[0])


def relation_questions(scene, name):
    """One for each thing that can be an anchor, at most three a scene."""
    spoken = "in" if name == "inside" else name
    found = []
    for at, anchor in enumerate(scene.things):
        if not clear(anchor) or not ANCHORS.get(name, bool)(anchor):
            continue
        others = {i: thing for i, thing in enumerate(scene.things) if i != at and clear(thing)}
        answers = {i: RULES[name](thing, anchor) for i, thing in others.items()}
        answers = keep_one(answers)
        found.append(name_them(scene, f"the mug {spoken} the bowl", answers, {"bowl": at}))
    return [question for question in found if question][:3]


def keep_one(answers):
    """Of several yes, the first; the others are then called something else."""
    yes = [index for index, answer in answers.items() if answer is True]
    return {i: answer for i, answer in answers.items() if i not in yes[1:]}


def between_questions(scene, _name):
    sentence, found = "the mug between the bowl and the can", []
    for one, other in combinations([i for i, t in enumerate(scene.things) if clear(t)], 2):
        ends = scene.things[one], scene.things[other]
        others = {i: t for i, t in enumerate(scene.things) if i not in (one, other) and clear(t)}
        answers = keep_one({i: amid(thing, *ends) for i, thing in others.items()})
        found.append(name_them(scene, sentence, answers, {"bowl": one, "can": other}))
    return [question for question in found if question][:3]


def amid(thing, one, other):
    if any(np.allclose(thing.at, end.at) for end in (one, other)):
        return None
    a, b = ground(one, thing), ground(other, thing)
    angle = np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)))
    return True if angle >= 150 else False if angle <= 80 else None


def distance_questions(scene, name):
    sign, found = 1 if name == "closest to" else -1, []
    for at, anchor in enumerate(scene.things):
        others = {i: t for i, t in enumerate(scene.things) if i != at and clear(t)}
        if not clear(anchor) or len(others) < 2:
            continue
        ranked = sorted((sign * apart(thing, anchor), i) for i, thing in others.items())
        if ranked[1][0] - ranked[0][0] > 0.06 + 0.3 * abs(ranked[0][0]):
            answers = {i: i == ranked[0][1] for i in others}
            found.append(name_them(scene, f"the mug {name} the bowl", answers, {"bowl": at}))
    return found[:3]


def of_kind(scene, kind):
    return [index for index, thing in enumerate(scene.things) if thing.kind == kind]


KEYS = {
    "leftmost": (lambda thing, camera: thing.seen[0], 12.0),
    "rightmost": (lambda thing, camera: -thing.seen[0], 12.0),
    "topmost": (lambda thing, camera: thing.seen[1], 12.0),
    "bottommost": (lambda thing, camera: -thing.seen[1], 12.0),
    "nearest": (lambda thing, camera: np.linalg.norm(thing.middle - camera.eye), 0.08),
    "farthest": (lambda thing, camera: -np.linalg.norm(thing.middle - camera.eye), 0.08),
    "largest": (lambda thing, camera: -np.log(thing.size).mean(), 0.3),
    "smallest": (lambda thing, camera: np.log(thing.size).mean(), 0.3),
    "tallest": (lambda thing, camera: -np.log(thing.size[2]), 0.3),
    "shortest": (lambda thing, camera: np.log(thing.size[2]), 0.3),
}
ORDINALS = {"second": 1, "third": 2}


def ordered(scene, heads, name):
    """The heads in an order, and the least margin between neighbours by its own measure."""
    key, margin = KEYS[name]
    numbers = np.array([key(scene.things[index], scene.camera) for index in heads])
    order = numbers.argsort()
    return [heads[index] for index in order], np.diff(numbers[order]) / margin


def order_questions(scene, name):
    for kind in KINDS:
        heads = of_kind(scene, kind)
        if len(heads) >= 2 and all(clear(scene.things[index]) for index in heads):
            ranked, margins = ordered(scene, heads, name)
            if margins[0] > 1:
                yield Question(f"the {name} {kind}", kinds(scene), ranked[0])


def ordinal_questions(scene, name):
    side = {"leftmost": "left", "rightmost": "right"}[name]
    for kind in KINDS:
        heads = of_kind(scene, kind)
        if len(heads) >= 3 and all(clear(scene.things[index]) for index in heads):
            ranked, margins = ordered(scene, heads, name)
            for word, rank in ORDINALS.items():
                if rank < len(ranked) and (margins[rank - 1 : rank + 1] > 1).all():
                    sentence = f"the {word} {kind} from the {side}"
                    yield Question(sentence, kinds(scene), ranked[rank])


def kinds(scene):
    return tuple(thing.kind for thing in scene.things)


QUESTIONS = (
    {name: (relation_questions, name) for name in RULES}
    | {"between": (between_questions, "")}
    | {name: (distance_questions, name) for name in ("closest to", "farthest from")}
    | {name: (order_questions, name) for name in KEYS}
    | {f"nth from the {end}": (ordinal_questions, f"{end}most") for end in ("left", "right")}
)


def ask(question, layout):
    """What the library answers, told the true names."""

    def scores(noun):
        return np.array([0.95 if name == noun else 0.02 for name in question.names])

    return resolve(read(question.sentence), scores, layout, threshold=0.5)
