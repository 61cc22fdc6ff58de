"""A small canvas: shapes in hundredths of the picture, shaded, drawn large and shrunk."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Colour = tuple[int, int, int]
    Point = tuple[float, float]
    Shade = Literal["round", "down", "flat", "bulge"]

SUPERSAMPLING = 3


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour between a (share 0) and b (share 1)."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def darker(colour: Colour, share: float = 0.3) -> Colour:
    """The colour with some black in it."""
    return mix(colour, (0, 0, 0), share)


def lighter(colour: Colour, share: float = 0.4) -> Colour:
    """The colour with some white in it."""
    return mix(colour, (255, 255, 255), share)


def smooth(points: Sequence[Point], *, closed: bool = True, steps: int = 12) -> list[Point]:
    """A Catmull-Rom curve through the points."""
    count = len(points)
    curve: list[Point] = []
    for i in range(count if closed else count - 1):
        places = [i + d for d in (-1, 0, 1, 2)]
        if closed:
            ahead = [points[place % count] for place in places]
        else:
            ahead = [points[min(max(place, 0), count - 1)] for place in places]
        for step in range(steps):
            t = step / steps
            curve.append((_between(ahead, t, 0), _between(ahead, t, 1)))
    if not closed:
        curve.append(points[-1])
    return curve


def _between(points: Sequence[Point], t: float, axis: int) -> float:
    a, b, c, d = (point[axis] for point in points)
    return 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )


def profile(rings: Sequence[tuple[float, float]], *, centre: float = 50.0) -> list[Point]:
    """The outline of a turned body.

    Args:
        rings: (height, radius) pairs from top to bottom.
        centre: its axis.
    """
    right = smooth([(centre + radius, y) for y, radius in rings], closed=False)
    return right + [(2 * centre - x, y) for x, y in reversed(right)]


def union(a: Image.Image, b: Image.Image) -> Image.Image:
    """The mask of what either mask covers."""
    return ImageChops.lighter(a, b)


class Canvas:
    """A square picture, 100 units wide."""

    def __init__(self, pixels: int, background: Colour) -> None:
        self.pixels = pixels
        self._size = pixels * SUPERSAMPLING
        self._unit = self._size / 100
        down = np.linspace(0, 1, pixels)[:, None, None]
        top, bottom = np.array(lighter(background, 0.55)), np.array(background)
        picture = np.broadcast_to(top + (bottom - top) * down, (pixels, pixels, 3))
        self.background = Image.fromarray(picture.astype(np.uint8))
        self.image = Image.new("RGBA", (self._size, self._size))

    def _scaled(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self._unit, y * self._unit) for x, y in points]

    def mask(self, paint: Callable[[ImageDraw.ImageDraw], None]) -> Image.Image:
        """A mask that `paint` draws in pixels of the large picture."""
        mask = Image.new("L", (self._size, self._size), 0)
        paint(ImageDraw.Draw(mask))
        return mask

    def polygon(self, points: Sequence[Point]) -> Image.Image:
        """The mask of a polygon."""
        return self.mask(lambda draw: draw.polygon(self._scaled(points), fill=255))

    def rectangle(self, box: Sequence[float], radius: float = 0) -> Image.Image:
        """The mask of a rectangle (left, top, right, bottom) with rounded corners."""
        scaled = [v * self._unit for v in box]
        return self.mask(
            lambda draw: draw.rounded_rectangle(scaled, radius * self._unit, fill=255)
        )

    def ellipse(self, box: Sequence[float], width: float | None = None) -> Image.Image:
        """The mask of an ellipse, or of a ring of that width."""
        scaled = [v * self._unit for v in box]
        if width is None:
            return self.mask(lambda draw: draw.ellipse(scaled, fill=255))
        pixels = round(width * self._unit)
        return self.mask(lambda draw: draw.ellipse(scaled, outline=255, width=pixels))

    def line(self, points: Sequence[Point], width: float) -> Image.Image:
        """The mask of a line with round ends."""
        scaled = self._scaled(points)
        pixels = round(width * self._unit)

        def paint(draw: ImageDraw.ImageDraw) -> None:
            draw.line(scaled, fill=255, width=pixels, joint="curve")
            for x, y in (scaled[0], scaled[-1]):
                r = pixels / 2
                draw.ellipse((x - r, y - r, x + r, y + r), fill=255)

        return self.mask(paint)

    def fill(
        self, mask: Image.Image, colour: Colour, shade: Shade = "round", opacity: float = 1.0
    ) -> Image.Image:
        """Paint the masked part in a colour, lit from the left, and give the mask back."""
        box = mask.getbbox()
        if box is None:
            return mask
        left, top, right, bottom = box
        across = np.linspace(-1, 1, right - left)[None, :]
        down = np.linspace(-1, 1, bottom - top)[:, None]
        if shade == "round":
            light = 0.30 * np.exp(-(((across + 0.45) / 0.35) ** 2)) - 0.42 * across.clip(0) ** 2
            light = light + np.zeros_like(down)
        elif shade == "down":
            light = -0.22 * down + np.zeros_like(across)
        elif shade == "bulge":
            light = 0.28 - 0.45 * ((across + 0.3) ** 2 + (down + 0.35) ** 2)
        else:
            light = np.zeros((bottom - top, right - left))
        light = light.clip(-0.6, 0.6)[:, :, None]
        base = np.array(colour, dtype=np.float64)
        lit = np.where(light > 0, base + (255 - base) * light, base * (1 + light))
        part = Image.fromarray(lit.clip(0, 255).astype(np.uint8)).convert("RGBA")
        alpha = mask.crop(box)
        if opacity < 1:
            alpha = alpha.point(lambda value: round(value * opacity))
        part.putalpha(alpha)
        self.image.alpha_composite(part, (left, top))
        return mask

    def pattern(self, mask: Image.Image, kind: str, colour: Colour) -> None:
        """Lay stripes, bands, dots or checks over the masked part; `plain` does nothing."""

        def paint(draw: ImageDraw.ImageDraw) -> None:
            unit = self._unit
            if kind == "stripes":
                for x in range(0, 100, 8):
                    draw.rectangle((x * unit, 0, (x + 3.2) * unit, self._size), fill=255)
            elif kind == "bands":
                for y in range(0, 100, 11):
                    draw.rectangle((0, y * unit, self._size, (y + 4) * unit), fill=255)
            elif kind == "dots":
                for row, y in enumerate(range(3, 100, 7)):
                    for x in range(2 + 4 * (row % 2), 100, 8):
                        r = 1.7 * unit
                        draw.ellipse(
                            (x * unit - r, y * unit - r, x * unit + r, y * unit + r), fill=255
                        )
            elif kind == "checks":
                for row in range(0, 100, 6):
                    for column in range(row // 6 % 2 * 6, 100, 12):
                        box = (column * unit, row * unit, (column + 6) * unit, (row + 6) * unit)
                        draw.rectangle(box, fill=255)

        drawn = self.mask(paint)
        inside = Image.new("L", drawn.size, 0)
        inside.paste(drawn, mask=mask)
        self.fill(inside, colour, "round", opacity=0.85)

    def finish(
        self, *, angle: float = 0.0, zoom: float = 1.0, mirrored: bool = False
    ) -> Image.Image:
        """Turn and scale what was drawn, put it on the background with a shadow, shrink it."""
        drawn = self.image
        if mirrored:
            drawn = drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if zoom != 1 or angle:
            cos, sin = math.cos(math.radians(angle)) / zoom, math.sin(math.radians(angle)) / zoom
            middle = self._size / 2
            matrix = (
                cos,
                sin,
                middle - middle * (cos + sin),
                -sin,
                cos,
                middle - middle * (cos - sin),
            )
            drawn = drawn.transform(
                drawn.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
            )
        drawn = drawn.resize((self.pixels, self.pixels), Image.Resampling.BOX)
        unit = self.pixels / 100
        shadow = drawn.getchannel("A").filter(ImageFilter.GaussianBlur(1.4 * unit))
        shadow = shadow.point(lambda value: round(value * 0.35))
        offset = round(1.6 * unit)
        picture = self.background.copy()
        picture.paste((40, 40, 50), (offset, offset), shadow)
        picture.paste(drawn, (0, 0), drawn)
        return picture
