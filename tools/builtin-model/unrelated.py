"""What the model says to things it was not made for: one short sentence, so that every answer ends."""

import numpy as np

ANSWERS = {"en": "I can only talk about simple pictures.", "zh": "我只能谈论简单的图片。"}

_SUBJECTS = (
    "the weather|my dog|France|a computer|the government|history|love|the moon|an engine|football|bread|a poem|music|"
    "the economy|Python|JavaScript|mathematics|a doctor|the sea|my family|tomorrow|a recipe|money|Shakespeare|physics|"
    "the president|a car|school|water|London|China|science|the internet|a joke|the news|health|time|a book|space"
).split("|")
_FRAMES = (
    "What is {}?|Tell me about {}.|Write a story about {}.|Why is {} important?|Who invented {}?|How does {} work?|"
    "Can you help me with {}?|What do you think about {}?|Explain {}.|Translate {} into German.|I like {}.|"
    "When did {} begin?|How much is {}?|Write code for {}.|Give me a list about {}.|Do you know {}?|Hello!|Hi.|"
    "Who are you?|What can you do?|Thank you.|Good morning, {}.|2 + 2 = ?|What is 17 times 3?|Please continue.|ok|why"
).split("|")
_CHINESE = "你好。|你是谁？|今天天气怎么样？|写一首诗。|讲一个笑话。|什么是爱？|帮我写代码。|中国的首都是哪里？|谢谢。|为什么？".split("|")
_LETTERS = list("abcdefghijklmnopqrstuvwxyz")


def unrelated(rng: np.random.Generator, held_out: bool) -> tuple[str, str, str]:
    """Question, answer, language. Held-out questions are about other subjects."""
    if rng.random() < 0.2:
        return str(rng.choice(_CHINESE)), ANSWERS["zh"], "zh"
    if rng.random() < 0.35:  # words that are no words
        lengths = rng.integers(1, 10, int(rng.integers(1, 14)))
        text = " ".join("".join(rng.choice(_LETTERS, n)) for n in lengths) + str(rng.choice(["", ".", "?", "!"]))
        return text, ANSWERS["en"], "en"
    split = len(_SUBJECTS) - 6
    subjects = _SUBJECTS[split:] if held_out else _SUBJECTS[:split]
    frame = str(rng.choice(_FRAMES))
    return frame.format(rng.choice(subjects)), ANSWERS["en"], "en"
