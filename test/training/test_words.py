"""The names that the demo's text tower is taught."""

from training.words import HYPERNYMS, colour_words, known_names, nouns, numbers, plural


def test_numbers_of_ranges():
    assert numbers("7-9 80") == (7, 8, 9, 80)
    assert numbers("") == ()


def test_regular_plurals():
    assert [plural(word) for word in ("mug", "box", "berry", "knife", "toy")] == [
        "mugs",
        "boxes",
        "berries",
        "knives",
        "toys",
    ]


def test_every_class_of_imagenet_has_a_name():
    assert {index for noun in nouns() for index in noun.classes} == set(range(1000))


def test_names_are_unique_and_hypernyms_are_among_them():
    names = [noun.name for noun in nouns()]
    assert len(names) == len(set(names))
    assert set(HYPERNYMS) <= set(names)
    assert {"mug", "cup", "crimson", "object", "dogs"} <= set(known_names())


def test_a_cup_is_a_mug_of_the_tabletop_and_of_imagenet():
    (cup,) = (noun for noun in nouns() if noun.name == "cup")
    (mug,) = (noun for noun in nouns() if noun.name == "mug")
    assert cup.categories == mug.categories != ()
    assert {504, 968} <= set(cup.classes)


def test_every_colour_names_itself():
    words = colour_words()
    assert words["red"] == words["crimson"] != words["azure"]
