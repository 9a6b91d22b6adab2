"""How questions about tabletops are answered, told the true masks and names.

python -m test.support.relation_figures [SCENES] [SEED] prints the table of docs/language.md.
"""

import sys
from collections import Counter, defaultdict

import numpy as np

from test.support.block_scenes import make_scene
from test.support.block_truth import QUESTIONS, ask


def outcomes(scenes, seed):
    """For each kind of question, with depth and without: how many answers were of which sort."""
    counts = defaultdict(Counter)
    for number in range(scenes):
        scene = make_scene(np.random.default_rng([seed, number]))
        layouts = {with_depth: scene.layout(with_depth) for with_depth in (True, False)}
        for kind, (questions, name) in QUESTIONS.items():
            for question in questions(scene, name):
                for with_depth, layout in layouts.items():
                    regions = ask(question, layout).regions
                    counts[kind, with_depth][sort_of(regions, question.answer)] += 1
    return counts


def sort_of(regions, right):
    if regions == (right,):
        return "right"
    return "missed" if not regions else "ambiguous" if right in regions else "wrong"


def share(counts, sort, kinds, with_depth):
    """What share of the answers to some kinds of questions is of a sort."""
    together = sum((counts[kind, with_depth] for kind in kinds), Counter())
    return together[sort] / together.total()


def table(counts):
    yield "| | questions | right with depth, % | without | another thing with depth, % | without |"
    yield "|---|---|---|---|---|---|"
    for name, kinds in [*((kind, [kind]) for kind in QUESTIONS), ("all", list(QUESTIONS))]:
        total = sum(counts[kind, True].total() for kind in kinds)
        shares = (
            f"{100 * share(counts, sort, kinds, with_depth):.1f}"
            for sort in ("right", "wrong")
            for with_depth in (True, False)
        )
        yield f"| {name} | {total} | {' | '.join(shares)} |"


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    print("\n".join(table(outcomes(*numbers, *(300, 32)[len(numbers) :]))))
