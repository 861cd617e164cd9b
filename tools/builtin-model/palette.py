"""The things a picture can hold, with their names in English and Chinese."""

from dataclasses import dataclass

LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Colour:
    en: str
    zh: str
    rgb: tuple[int, int, int]
    jitter: int  # channels move by up to this much; small where a neighbour is close


@dataclass(frozen=True)
class Shape:
    en: str
    plural: str
    zh: str


COLOURS = (
    Colour("red", "红色", (214, 34, 38), 18),
    Colour("orange", "橙色", (250, 138, 16), 12),
    Colour("yellow", "黄色", (246, 222, 40), 14),
    Colour("green", "绿色", (36, 154, 60), 22),
    Colour("blue", "蓝色", (32, 80, 214), 22),
    Colour("purple", "紫色", (124, 46, 168), 16),
    Colour("pink", "粉色", (250, 134, 186), 12),
    Colour("brown", "棕色", (122, 72, 32), 12),
    Colour("black", "黑色", (16, 16, 18), 14),
    Colour("white", "白色", (248, 248, 248), 7),
)

SHAPES = (
    Shape("circle", "circles", "圆形"),
    Shape("square", "squares", "正方形"),
    Shape("triangle", "triangles", "三角形"),
    Shape("star", "stars", "星形"),
    Shape("cross", "crosses", "十字形"),
    Shape("ring", "rings", "圆环"),
    Shape("diamond", "diamonds", "菱形"),
    Shape("heart", "hearts", "心形"),
)


def article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
