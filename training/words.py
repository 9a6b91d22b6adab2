"""What the demo's text tower is taught: names, and the concepts that they stand for.

Names of ImageNet's thousand classes and their synonyms are WordNet's, as timm carries them
(`timm.data.ImageNetInfo`); everyday hypernyms, and synonyms of the tabletop's things, colours and
shapes were written down here. A noun stands for one or more classes of ImageNet, for one or more
categories of the tabletop, or for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from timm.data import ImageNetInfo

from training.vocabulary import CATEGORIES, COLOURS

# Everyday words for several of ImageNet's classes: numbers and ranges (first-last).
HYPERNYMS = {
    "fish": "0-6 389-397",
    "shark": "2-4",
    "bird": "7-24 80-100 127-146",
    "rooster": "7",
    "chicken": "7 8",
    "finch": "10-12 14",
    "eagle": "22",
    "owl": "24",
    "parrot": "87-90",
    "duck": "97 98",
    "swan": "100",
    "stork": "127 128",
    "heron": "131-133",
    "penguin": "145",
    "seagull": "146 139",
    "whale": "147 148",
    "seal": "150",
    "salamander": "25-29",
    "newt": "26 27",
    "frog": "30-32",
    "toad": "30 32",
    "turtle": "33-37",
    "tortoise": "37 36",
    "lizard": "38-48",
    "gecko": "38",
    "chameleon": "40 47",
    "crocodile": "49",
    "alligator": "50",
    "dinosaur": "51",
    "snake": "52-68",
    "python": "62",
    "cobra": "63",
    "spider": "72-77",
    "kangaroo": "104",
    "crab": "118-121 125",
    "lobster": "122 123",
    "shell": "112 117",
    "dog": "151-268",
    "puppy": "151-268",
    "terrier": "179-202",
    "hound": "159-178",
    "spaniel": "156 157 215-221",
    "retriever": "205-209",
    "labrador": "208",
    "poodle": "265-267",
    "corgi": "263 264",
    "collie": "230-232",
    "sheepdog": "228 229 230",
    "shepherd dog": "235 225 227",
    "bulldog": "245 243",
    "husky": "248 250 249",
    "schnauzer": "196-198",
    "mastiff": "243 244",
    "wolf": "269-271",
    "fox": "277-280",
    "cat": "281-285",
    "kitten": "281-285",
    "big cat": "286-293",
    "panther": "286 290",
    "bear": "294-297",
    "beetle": "300-307",
    "insect": "300-326",
    "bug": "300-307 314",
    "butterfly": "321-326",
    "rabbit": "330-332",
    "bunny": "330-332",
    "mouse": "673",
    "squirrel": "335",
    "horse": "339",
    "pig": "341 342",
    "cow": "345-347",
    "bull": "345 347",
    "buffalo": "346 347",
    "sheep": "348 349",
    "goat": "350 348",
    "antelope": "351-353",
    "deer": "351-353",
    "camel": "354",
    "ape": "365-369",
    "monkey": "370-382",
    "lemur": "383 384",
    "elephant": "385 386",
    "panda": "388 387",
    "salmon": "391",
    "airplane": "404 895",
    "aeroplane": "404 895",
    "plane": "404 895",
    "aircraft": "404 895 405",
    "jet": "404 895",
    "zeppelin": "405",
    "guitar": "402 546",
    "boat": "472 484 554 576 625 724 780 814 833 871 914",
    "sailboat": "484 871 914 780",
    "motorboat": "814 625 554",
    "ship": "403 510 628 724 780 833",
    "gun": "413 763 764",
    "pistol": "763",
    "bin": "412",
    "trash bin": "412",
    "bag": "414 636 728 748 797 790",
    "handbag": "748 636",
    "shopping bag": "728 790",
    "bicycle": "671 444",
    "bike": "671 444 665 670",
    "bus": "654 779 874 705",
    "car": "436 468 511 609 627 656 661 717 751 817 407",
    "automobile": "436 468 511 609 627 656 661 717 751 817",
    "taxi cab": "468",
    "van": "656 675 734 654",
    "truck": "555 569 717 864 867 675",
    "lorry": "555 569 867 675",
    "pickup": "717",
    "motorcycle": "665 670",
    "motorbike": "665 670",
    "vehicle": "407 436 468 511 555 569 609 627 654 656 665 670 675 717 751 779 817 864 867 874",
    "train": "466 547 820 705",
    "locomotive": "547 820",
    "tram": "829",
    "rocket": "657 744 812",
    "wheel": "479 694",
    "tire": "479",
    "tyre": "479",
    "sign": "919 920",
    "stop sign": "919",
    "stoplight": "920",
    "bridge": "821 839 888",
    "fence": "489 716 912",
    "building": "497 498 698 668 663 425 698 832 762 483",
    "temple": "668 663 698 832",
    "pagoda": "698 663 832",
    "house": "425 660 449",
    "tower": "900 437 442 682",
    "church": "497",
    "shop": "415 454 467 509 582 788 860 865",
    "store": "415 454 509 582 788 865",
    "chair": "423 559 765",
    "armchair": "765 831",
    "sofa": "831",
    "couch": "831",
    "bed": "564 520 831 750",
    "table": "532 736 526",
    "wooden table": "532",
    "bench": "703",
    "shelf": "453 729",
    "cabinet": "493 495 553 648 894",
    "drawer": "493 553",
    "cupboard": "495 894 493",
    "lamp": "846 619",
    "light": "846 818 619",
    "clock": "409 530 892",
    "alarm clock": "530 409",
    "watch": "531 826",
    "telephone": "487 528 707",
    "phone": "487 528",
    "cellphone": "487",
    "smartphone": "487 605",
    "mobile phone": "487",
    "computer": "527 620 681 590",
    "keyboard": "508 878",
    "computer mouse": "673",
    "screen": "664 782 851",
    "tv": "851 664",
    "television": "851",
    "remote": "761",
    "camera": "759 732",
    "piano": "579 881",
    "trumpet": "513",
    "drum": "541 822",
    "musical instrument": "401 402 420 432 486 513 546 558 566 579 683 776 875 889",
    "hat": "515 808 439 452 667",
    "cap": "433 793 667 515",
    "helmet": "518 560 715",
    "shoe": "630 770 514 502",
    "sneaker": "770",
    "boot": "514",
    "coat": "568 617 869",
    "jacket": "568 617 869",
    "shirt": "610 841",
    "sweater": "474 841",
    "dress": "578 689 400",
    "trousers": "608",
    "jeans": "608",
    "tie": "451 457 906",
    "glove": "658",
    "towel": "434 700",
    "cloth": "533 591 434",
    "napkin": "591 529",
    "knife": "499 623",
    "kitchen knife": "499",
    "spatula": "813",
    "pan": "567 909",
    "saucepan": "567 544",
    "pot": "738 505 544 521 469",
    "flower pot": "738",
    "kettle": "849 505",
    "oven": "651 827",
    "fridge": "760",
    "stove": "827",
    "cooker": "827 521",
    "drinking glass": "441 572",
    "glass": "441 572",
    "wine glass": "572 966",
    "jug": "725 899 901",
    "pitcher": "725",
    "jar": "725 899",
    "box": "478 519 492 549 637",
    "cardboard box": "478",
    "carton": "478",
    "milk carton": "478",
    "crate": "519",
    "basket": "790 588",
    "barrel": "427 756",
    "bucket": "463",
    "tool": "587 784 740 596 499",
    "drill": "740",
    "axe": "596",
    "pen": "418 563 749",
    "eraser": "767",
    "flashlight": "862",
    "medicine bottle": "720",
    "soap": "804 838",
    "brush": "696 840",
    "mop": "840",
    "toy": "850 865",
    "teddy bear": "850",
    "wallet": "893",
    "sunglasses": "836 837",
    "glasses": "836 837",
    "umbrella": "879",
    "candle": "470",
    "lighter": "626",
    "backpack": "414",
    "football": "768 805",
    "ball": "429 430 522 574 722 768 805 852 890",
    "fruit": "948-957",
    "apple": "948",
    "green apple": "948",
    "vegetable": "936-946",
    "squash": "940-942",
    "cabbage": "936",
    "pepper": "945",
    "bread": "930 931",
    "loaf": "930 962",
    "hamburger": "933",
    "burger": "933",
    "sandwich": "933 934",
    "food": "924-969",
    "soup": "925",
    "coffee": "967",
    "coffee cup": "967 968 504",
    "tea cup": "968 504",
    "wine": "966",
    "mushroom": "947 992 996 997",
    "fungus": "991-997",
    "flower": "985 986 984",
    "dahlia": "985",
    "plant": "738 985 984",
    "beach": "978 977",
    "lake": "975",
    "sea": "978",
    "toilet paper": "999",
    "window": "904 905",
    "door": "799",
    "curtain": "794 854",
    "pillow": "721",
    "cushion": "721",
    "blanket": "750",
    "sink": "896",
}
# The tabletop's things: everyday synonyms, and ImageNet's classes that are the same thing.
TABLETOP = {
    "ball": ("ball sphere orb", "429 430 522 574 722 805 852 890"),
    "cube": ("cube,block,box,dice,die", ""),
    "cone": ("cone,traffic cone,pylon", ""),
    "ring": ("ring,torus,hoop,donut,doughnut,tyre ring", ""),
    "can": ("can,tin,soda can,tin can,drink can,beer can,cylinder", ""),
    "bottle": ("bottle,flask", "440 737 898 907 720"),
    "mug": ("mug,cup,coffee mug,coffee cup,tea cup,teacup", "504 968"),
    "bowl": ("bowl,soup bowl,mixing bowl,basin", "659 809"),
    "plate": ("plate,dish,saucer,disc,disk", "923"),
    "book": ("book,textbook,novel,volume", "921 917"),
    "banana": ("banana", "954"),
    "hammer": ("hammer,mallet", "587"),
    "screwdriver": ("screwdriver", "784"),
    "spoon": ("spoon,teaspoon,tablespoon", "910 618"),
}
COLOUR_WORDS = {
    "red": "red,crimson,scarlet,ruby,maroon,reddish",
    "green": "green,emerald,lime,olive,greenish",
    "blue": "blue,navy,azure,navy blue,dark blue,light blue,bluish",
    "yellow": "yellow,golden,lemon yellow,gold,yellowish",
    "orange": "orange,tangerine,orange coloured,amber",
    "purple": "purple,violet,lilac,mauve,lavender,purplish",
    "white": "white,ivory,whitish,snow white",
    "black": "black,ebony,jet black,dark,blackish",
}
THINGS = ("object", "thing", "item", "something", "one", "things", "objects", "items")
SURFACES = ("stuff", "texture", "background", "surface", "nothing", "scene")
"""Nouns that say nothing of the kind; alone they are what a query is scored against."""
PATTERNS = (
    "{c} {n}",
    "{c} {n}",
    "{c} {n}",
    "{n} that is {c}",
    "{n} which is {c}",
    "{c} coloured {n}",
    "{c} colored {n}",
    "{n} in {c}",
    "{n} of {c} colour",
)


@dataclass(frozen=True)
class Noun:
    """A name, and what it stands for: ImageNet's classes and the tabletop's categories."""

    name: str
    classes: tuple[int, ...]
    categories: tuple[int, ...]


def numbers(ranges: str) -> tuple[int, ...]:
    """The numbers of a list such as "7-9 80"."""
    found: list[int] = []
    for part in ranges.split():
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def plural(name: str) -> str:
    """The regular plural of a name's last word."""
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    if name.endswith("fe"):
        return f"{name[:-2]}ves"
    return f"{name}s"


@cache
def nouns() -> tuple[Noun, ...]:
    """All nouns, each name once, with plurals; the tabletop's names mean its things first."""
    classes: dict[str, set[int]] = {}
    info = ImageNetInfo("imagenet-1k")
    for index in range(1000):
        for name in info.index_to_description(index).split(","):
            classes.setdefault(name.strip().lower().replace("'", ""), set()).add(index)
    for name, ranges in HYPERNYMS.items():
        classes[name] = set(numbers(ranges))
    categories: dict[str, set[int]] = {}
    for index, category in enumerate(CATEGORIES):
        names, ranges = TABLETOP[category]
        for name in names.split(",") if "," in names else names.split():
            categories.setdefault(name, set()).add(index)
            # A name of both: "cup" is ImageNet's cup and the tabletop's mug.
            classes[name] = classes.get(name, set()) | set(numbers(ranges))
    every = [
        Noun(name, tuple(sorted(classes[name])), tuple(sorted(categories.get(name, ()))))
        for name in classes
    ]
    more = {
        plural(noun.name): Noun(plural(noun.name), noun.classes, noun.categories)
        for noun in every
        if plural(noun.name) not in classes
    }
    return (*every, *more.values())


def colour_words() -> dict[str, int]:
    """Every word for a colour, and the colour's place in the vocabulary."""
    return {
        word: index
        for index, colour in enumerate(COLOURS)
        for word in COLOUR_WORDS[colour].split(",")
    }


def known_names() -> list[str]:
    """Every name that is taught, sorted: what ships as the model's vocabulary."""
    names = {noun.name for noun in nouns()} | set(colour_words()) | set(THINGS) | set(SURFACES)
    return sorted(names)
