"""The six products that the catalogue sells, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.drawing import Canvas, darker, lighter, mix, profile, smooth, union

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.drawing import Colour

    Draw = Callable[[Canvas, Colour, Colour, str, int], None]

STEEL: Colour = (176, 182, 190)
WOOD: Colour = (172, 120, 74)
DARK: Colour = (52, 54, 60)
CREAM: Colour = (244, 238, 226)


def mug(canvas: Canvas, colour: Colour, accent: Colour, pattern: str, style: int) -> None:
    """A mug, from slightly above: straight, tapered or bellied."""
    top, bottom = (28, 28, 28)[style], (76, 74, 72)[style]
    canvas.fill(canvas.ellipse((59, 36, 87, 66), 4.6), darker(colour, 0.15), "down")
    rings = (
        [(top, 22), (50, 22), (bottom, 21)],
        [(top, 24), (50, 20.5), (bottom, 15)],
        [(top, 19), (48, 25), (bottom, 17)],
    )[style]
    foot, rim = rings[-1][1], rings[0][1]
    base = canvas.ellipse((46 - foot, bottom - 5, 46 + foot, bottom + 5))
    body = canvas.fill(union(canvas.polygon(profile(rings, centre=46)), base), colour)
    canvas.pattern(body, pattern, accent)
    canvas.fill(
        canvas.ellipse((46 - rim, top - 6, 46 + rim, top + 6)), lighter(colour, 0.35), "down"
    )
    inner = rim - 1.8
    canvas.fill(
        canvas.ellipse((46 - inner, top - 4.6, 46 + inner, top + 4.8)), darker(colour, 0.5)
    )
    canvas.fill(
        canvas.ellipse((46 - inner + 2, top - 1.2, 46 + inner - 2, top + 4.4)),
        (84, 52, 30),
        "down",
    )


def bottle(canvas: Canvas, colour: Colour, accent: Colour, pattern: str, style: int) -> None:
    """A bottle: a sports flask, a wine bottle or a squat one with a label."""
    rings = (
        [(24, 9), (30, 14), (36, 15), (84, 15)],
        [(14, 4.6), (36, 4.8), (48, 12.5), (56, 13.5), (86, 13.5)],
        [(22, 6), (34, 6.5), (44, 17), (54, 19), (84, 18)],
    )[style]
    end, radius = rings[-1]
    base = canvas.ellipse((50 - radius, end - 3, 50 + radius, end + 3))
    body = canvas.fill(union(canvas.polygon(profile(rings)), base), colour)
    if style == 0:
        canvas.pattern(body, pattern, accent)
        canvas.fill(canvas.rectangle((42, 12, 58, 25), 2), accent)
        canvas.fill(canvas.rectangle((46, 7, 54, 13), 2), darker(accent, 0.3))
    else:
        label = canvas.rectangle((50 - radius + 0.4, 58, 50 + radius - 0.4, 76))
        canvas.fill(label, CREAM)
        canvas.pattern(label, pattern, accent)
        neck_top = rings[0][0]
        canvas.fill(canvas.rectangle((44, neck_top - 4, 56, neck_top + 7), 1), accent)


def lamp(canvas: Canvas, colour: Colour, accent: Colour, pattern: str, style: int) -> None:
    """A lamp: on a table, on the floor, or with an arm over a desk."""
    metal = mix(STEEL, accent, 0.35)
    if style == 2:
        canvas.fill(canvas.ellipse((22, 80, 58, 90)), darker(metal))
        canvas.fill(canvas.line([(40, 84), (30, 54)], 3), metal)
        canvas.fill(canvas.line([(30, 54), (58, 28)], 3), metal)
        canvas.fill(canvas.ellipse((26.5, 50.5, 33.5, 57.5)), darker(metal), "bulge")
        shade = canvas.polygon([(54, 25), (64, 20), (92, 46), (58, 60)])
        canvas.fill(canvas.ellipse((58, 44, 92, 62)), (255, 236, 160), "bulge")
        canvas.fill(shade, colour, "bulge")
        return
    top, bottom, foot = ((20, 50, 82), (8, 32, 92))[style]
    wide, narrow = ((27, 15), (20, 12))[style]
    canvas.fill(canvas.rectangle((48.4, bottom - 2, 51.6, foot), 1), metal)
    canvas.fill(canvas.ellipse((33, foot - 4, 67, foot + 4)), darker(metal, 0.15), "down")
    if style == 0:
        canvas.fill(canvas.ellipse((39, 56, 61, 80)), accent, "bulge")
    canvas.fill(canvas.ellipse((50 - wide, bottom - 4, 50 + wide, bottom + 4)), (255, 232, 150))
    shade = canvas.polygon(
        [(50 - narrow, top), (50 + narrow, top), (50 + wide, bottom), (50 - wide, bottom)]
    )
    canvas.fill(shade, colour)
    canvas.pattern(shade, pattern, lighter(accent, 0.2))
    canvas.fill(
        canvas.ellipse((50 - narrow, top - 2.4, 50 + narrow, top + 2.4)), lighter(colour, 0.3)
    )


def backpack(canvas: Canvas, colour: Colour, accent: Colour, pattern: str, style: int) -> None:
    """A backpack: for the day, with a rolled top, or with a flap."""
    dark = darker(colour, 0.35)
    canvas.fill(canvas.ellipse((41, 9, 59, 27), 3), dark)
    for side in (-1, 1):
        strap = smooth(
            [(50 + side * 24, 34), (50 + side * 33, 52), (50 + side * 27, 80)], closed=False
        )
        canvas.fill(canvas.line(strap, 4.5), dark, "down")
    outline = [(30, 24), (50, 15), (70, 24), (76, 52), (75, 82), (50, 87), (25, 82), (24, 52)]
    body = canvas.polygon(smooth(outline))
    canvas.fill(body, colour, "bulge")
    canvas.pattern(body, pattern, lighter(accent, 0.15))
    if style == 0:
        zip_line = smooth([(29, 44), (33, 27), (50, 21), (67, 27), (71, 44)], closed=False)
        canvas.fill(canvas.line(zip_line, 1.1), DARK, "flat")
    elif style == 1:
        canvas.fill(canvas.rectangle((29, 16, 71, 27), 4.5), dark, "down")
        canvas.fill(canvas.rectangle((47, 14, 53, 46), 1), accent, "down")
        canvas.fill(canvas.rectangle((45.5, 38, 54.5, 44), 1.5), STEEL, "down")
    else:
        flap = smooth([(28, 24), (50, 14), (72, 24), (74, 44), (50, 52), (26, 44)])
        canvas.fill(canvas.polygon(flap), darker(colour, 0.18), "down")
        for x in (38, 62):
            canvas.fill(canvas.rectangle((x - 2, 38, x + 2, 60), 1), accent, "down")
            canvas.fill(canvas.rectangle((x - 3, 53, x + 3, 58), 1), STEEL, "down")
    canvas.fill(canvas.rectangle((32, 58, 68, 80), 5), darker(colour, 0.12), "bulge")
    canvas.fill(canvas.line([(35, 63), (65, 63)], 1.1), DARK, "flat")
    canvas.fill(canvas.rectangle((60, 62.4, 62, 68), 0.8), accent, "flat")


def chair(canvas: Canvas, colour: Colour, accent: Colour, pattern: str, style: int) -> None:
    """A chair, from the front and a little from the side: slats, a panel or a shell."""
    wood = mix(WOOD, accent, 0.25) if style != 2 else STEEL
    for x, y in ((36, 84), (73, 80)):
        canvas.fill(canvas.line([(x + 1, 54), (x, y)], 3), darker(wood, 0.3), "flat")
    if style == 2:
        shell = smooth([(34, 16), (54, 11), (74, 16), (77, 50), (70, 60), (38, 60), (31, 50)])
        back = canvas.polygon(shell)
        canvas.fill(back, colour, "bulge")
        canvas.pattern(back, pattern, accent)
    else:
        for x in (35, 72):
            canvas.fill(canvas.line([(x, 14), (x + 0.5, 56)], 3.4), wood)
        if style == 0:
            for y in (17, 27, 37):
                canvas.fill(canvas.rectangle((34, y, 73, y + 6), 2), lighter(wood, 0.12), "down")
        else:
            back = canvas.rectangle((36, 16, 71, 44), 5)
            canvas.fill(back, colour, "bulge")
            canvas.pattern(back, pattern, accent)
    seat = smooth([(33, 54), (74, 54), (80, 62), (72, 66), (32, 66), (25, 62)], steps=6)
    canvas.fill(canvas.polygon([(x, y + 3) for x, y in seat]), darker(colour, 0.35), "flat")
    canvas.fill(canvas.polygon(seat), colour, "down")
    for x, lean in ((29, -2), (75, 2)):
        canvas.fill(canvas.line([(x, 68), (x + lean, 92)], 3.4), wood)


def shoe(canvas: Canvas, colour: Colour, accent: Colour, pattern: str, style: int) -> None:
    """A shoe from the side: a running shoe, a boot or a slip-on."""
    sole_colour = CREAM if style != 1 else (96, 66, 44)
    collar = (38, 18, 42)[style]
    front = [(44, collar + 6), (52, 54), (66, 58), (82, 63), (89, 72), (86, 77)]
    if style == 1:
        front = [(43, 20), (45, 44), (54, 55), (68, 58), (82, 64), (88, 73), (85, 77)]
    back = [(13, 77), (11, 68), (13, 55), (13 if style != 1 else 14, collar)]
    upper = canvas.polygon(smooth([*back, (28, collar + 4), *front], steps=10))
    canvas.fill(upper, colour, "bulge")
    canvas.pattern(upper, pattern, accent)
    if style == 0:
        swoosh = smooth([(24, 66), (40, 68), (56, 58)], closed=False)
        canvas.fill(canvas.line(swoosh, 3.4), accent, "flat")
    canvas.fill(
        canvas.polygon(smooth([(70, 77), (71, 66), (80, 64), (88, 72), (86, 78)])),
        darker(colour, 0.25),
        "bulge",
    )
    if style != 2:
        for step in range(4):
            x, y = ((46 + 5 * step, 48 + 3 * step), (42 + 1.5 * step, 27 + 8 * step))[style]
            canvas.fill(canvas.line([(x - 5, y + 4), (x + 2, y - 1)], 1.6), CREAM, "flat")
    else:
        canvas.fill(
            canvas.polygon(smooth([(36, 50), (46, 50), (50, 64), (38, 66)])),
            darker(colour, 0.3),
            "flat",
        )
    sole = smooth(
        [(11, 75), (50, 77), (88, 74), (92, 79), (86, 84), (50, 85), (13, 84), (9, 80)], steps=8
    )
    canvas.fill(canvas.polygon(sole), sole_colour, "down")
    if style == 1:
        canvas.fill(canvas.rectangle((11, 82, 32, 89), 1), darker(sole_colour, 0.2), "down")


PRODUCTS: dict[str, Draw] = {
    "backpack": backpack,
    "bottle": bottle,
    "chair": chair,
    "lamp": lamp,
    "mug": mug,
    "shoe": shoe,
}
