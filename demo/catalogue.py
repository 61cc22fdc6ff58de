"""Draws a sample catalogue: a table of items, their pictures, and some that are broken.

``python -m demo.catalogue [FOLDER]`` writes ``items.tsv`` (item_id, title, description, category)
and ``images/ITEM_ID/1.jpg, 2.jpg, …``, the same bytes every time.
"""

from __future__ import annotations

import csv
import io
import random
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from demo.drawing import Canvas
from demo.products import PRODUCTS

if TYPE_CHECKING:
    from demo.drawing import Colour

FOLDER = Path(__file__).resolve().parent / "out"
PER_CATEGORY = 10
PIXELS = 256
SEED = 7

COLOURS: dict[str, Colour] = {
    "black": (58, 58, 66),
    "blue": (52, 108, 178),
    "coral": (235, 128, 92),
    "cream": (240, 233, 220),
    "green": (70, 138, 90),
    "mustard": (232, 184, 62),
    "plum": (128, 88, 156),
    "red": (198, 58, 50),
    "sand": (206, 178, 138),
    "teal": (46, 148, 152),
}
BACKGROUNDS: tuple[Colour, ...] = (
    (226, 229, 233),
    (236, 230, 222),
    (222, 232, 228),
    (233, 226, 232),
)
PATTERNS = {
    "plain": "",
    "stripes": "striped",
    "bands": "banded",
    "dots": "dotted",
    "checks": "checked",
}
STYLES: dict[str, tuple[tuple[str, str], ...]] = {
    "backpack": (
        ("canvas day backpack", "A light backpack for the day, with a padded back"),
        ("roll-top backpack", "The rolled top closes with one strap and keeps the rain out"),
        ("leather-trimmed backpack", "A flap with two buckles over a roomy main pocket"),
    ),
    "bottle": (
        ("steel sports bottle", "Keeps water cold for a day on the bike or at the gym"),
        ("bottle of grape juice", "Pressed from late grapes, to be served cool"),
        ("glass syrup bottle", "A squat bottle of fruit syrup with a screw cap"),
    ),
    "chair": (
        ("wooden dining chair", "A ladder-back chair for the dining table, with a soft seat"),
        ("upholstered kitchen chair", "Padded back and seat on a frame of oiled beech"),
        ("shell chair", "A moulded seat on four steel legs, to stack or to stay"),
    ),
    "lamp": (
        ("bedside table lamp", "Warm light from a linen shade over a ceramic foot"),
        ("floor lamp", "A tall lamp for the corner behind the reading chair"),
        ("desk lamp", "Its jointed arm brings the light to the page"),
    ),
    "mug": (
        ("stoneware coffee mug", "Holds 350 ml of coffee and goes into the dishwasher"),
        ("tapered tea mug", "A wide rim that lets tea cool just fast enough"),
        ("bellied cocoa mug", "Round in the hand, for chocolate on a cold evening"),
    ),
    "shoe": (
        ("running shoe", "A cushioned sole and a breathing upper for the daily round"),
        ("lace-up leather boot", "A high shaft and a firm heel for wet paths"),
        ("slip-on shoe", "On in a second, off in another, for house and garden"),
    ),
}
FAULTS = {
    "bottle": "no_title",
    "chair": "no_image",
    "lamp": "empty_file",
    "mug": "truncated",
    "shoe": "html_page",
}
NO_PICTURE = b"<!doctype html>\n<html><title>404</title><p>This picture has moved.</p></html>\n"


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the catalogue.

    Attributes:
        item_id: its key.
        title: a few words, empty where the fault is ``no_title``.
        description: two sentences.
        category: what it is.
        images: the bytes of its picture files.
    """

    item_id: str
    title: str
    description: str
    category: str
    images: tuple[bytes, ...]


def items() -> list[Item]:
    """Every item, drawn: ten sound ones a category, and one broken one in most."""
    drawn = []
    for category in PRODUCTS:
        rng = random.Random(f"{SEED} {category}")
        drawn += [_item(rng, category, number) for number in range(PER_CATEGORY)]
        if category in FAULTS:
            drawn.append(_spoil(_item(rng, category, PER_CATEGORY), FAULTS[category]))
    return drawn


def _item(rng: random.Random, category: str, number: int) -> Item:
    style = number % 3
    name, sentence = STYLES[category][style]
    colour, accent = rng.sample(sorted(COLOURS), 2)
    pattern = rng.choice(("plain", *PATTERNS))
    words = [colour, PATTERNS[pattern], name]
    title = " ".join(word for word in words if word).capitalize()
    background = rng.choice(BACKGROUNDS)
    images = []
    for view in range(3 if number % 4 == 1 else 1):
        canvas = Canvas(PIXELS, background)
        PRODUCTS[category](canvas, COLOURS[colour], COLOURS[accent], pattern, style)
        picture = canvas.finish(
            angle=rng.uniform(-4, 4) + (0, 9, -5)[view],
            zoom=rng.uniform(0.9, 1.04) * (1, 0.92, 1.5)[view],
            mirrored=rng.random() < 0.4,
        )
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=88)
        images.append(buffer.getvalue())
    description = f"{sentence}. Comes in {colour} with {accent} details."
    return Item(f"{category}-{number + 1:02}", title, description, category, tuple(images))


def _spoil(item: Item, fault: str) -> Item:
    title, images = item.title, item.images
    if fault == "no_title":
        title = ""
    elif fault == "no_image":
        images = ()
    elif fault == "empty_file":
        images = (b"",)
    elif fault == "truncated":
        images = (images[0][: len(images[0]) // 3],)
    else:
        images = (NO_PICTURE,)
    return Item(item.item_id, title, item.description, item.category, images)


def write(folder: Path) -> list[Item]:
    """Write the catalogue into a folder: items.tsv and images/.

    Args:
        folder: made where it is missing; its ``images`` folder is replaced.
    """
    catalogue = items()
    shutil.rmtree(folder / "images", ignore_errors=True)
    for item in catalogue:
        for number, content in enumerate(item.images, 1):
            path = folder / "images" / item.item_id / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    with (folder / "items.tsv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(("item_id", "title", "description", "category"))
        table.writerows((i.item_id, i.title, i.description, i.category) for i in catalogue)
    return catalogue


def contact_sheet(folder: Path, columns: int = 12) -> Path:
    """Put the first picture of every item that has a sound one on a sheet, for people."""
    side = 120
    pictures = []
    for path in sorted(folder.glob("images/*/1.jpg")):
        try:
            with Image.open(path) as image:
                pictures.append(image.convert("RGB").resize((side, side)))
        except (UnidentifiedImageError, OSError):
            continue
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * side, rows * side), "white")
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number % columns * side, number // columns * side))
    target = folder / "sheet.jpg"
    sheet.save(target, quality=88)
    return target


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    catalogue = write(target)
    contact_sheet(target)
    files = sum(len(item.images) for item in catalogue)
    sys.stdout.write(f"{len(catalogue)} items and {files} picture files in {target}\n")
