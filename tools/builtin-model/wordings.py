"""How every task is asked. The last wordings of each list are never trained on: they are the held-out ones."""

import numpy as np

HELD_OUT = {"en": 2, "zh": 1}

WORDINGS: dict[str, dict[str, list[str]]] = {
    "describe": {
        "en": [
            "Describe the picture.", "Describe this image.", "What is in this picture?", "What do you see?",
            "What can you see in the image?", "What does the picture show?", "Tell me what is in the image.",
            "Give a description of this picture.", "What is shown here?", "Describe what you see.",
            "What is in the image?", "Please describe this picture.",
        ],
        "zh": ["描述这张图片。", "图片里有什么？", "你看到了什么？", "请描述图片。", "这张图片里有什么？"],
    },
    "colour": {
        "en": [
            "What colour is the {shape}?", "What color is the {shape}?", "What is the colour of the {shape}?",
            "Which colour is the {shape}?", "Tell me the color of the {shape}.", "Name the colour of the {shape}.",
            "The {shape} has which colour?", "What is the {shape}'s color?", "Which color does the {shape} have?",
            "What is the color of the {shape}?", "Which color is the {shape}?",
        ],
        "zh": ["{shape}是什么颜色？", "{shape}的颜色是什么？", "{shape}是什么颜色的？", "请说出{shape}的颜色。"],
    },
    "shape": {
        "en": [
            "What shape is {colour}?", "Which shape is {colour}?", "What is the shape of the {colour} object?",
            "What is {colour} in this picture?", "Name the {colour} shape.", "Tell me the shape of the {colour} thing.",
            "What is the {colour} object?", "Which object is {colour}?", "The {colour} one has what shape?",
            "What is the {colour} shape?", "What shape is the {colour} object?",
        ],
        "zh": ["{colour}的是什么形状？", "{colour}的图形是什么？", "哪个形状是{colour}的？", "{colour}的图形是什么形状？"],
    },
    "count": {
        "en": [
            "How many {things} are there?", "How many {things} do you see?", "Count the {things}.",
            "How many {things} are in the picture?", "How many {things} can you see?", "What is the number of {things}?",
            "How many {things} does the image show?", "Tell me how many {things} there are.",
            "Please count the {things}.", "How many {things} are in this image?", "How many {things} are visible?",
        ],
        "zh": ["有几个{things}？", "图中有多少个{things}？", "数一数{things}。", "图片里有几个{things}？", "有多少个{things}？"],
    },
    "where": {
        "en": [
            "Where is the {thing}?", "Where do you see the {thing}?", "Where is the {thing} in the picture?",
            "In which part of the image is the {thing}?", "Tell me where the {thing} is.",
            "What is the position of the {thing}?", "Where can I find the {thing}?", "Where is the {thing} located?",
            "Where is the {thing} in this image?", "Where in the picture is the {thing}?",
        ],
        "zh": ["{thing}在哪里？", "{thing}在图片的什么位置？", "{thing}在什么位置？", "{thing}在图中的哪里？"],
    },
    "what_at": {
        "en": [
            "What is {place}?", "What do you see {place}?", "Which shape is {place}?", "What is {place} of the picture?",
            "Which object is {place}?", "Tell me what is {place}.", "What can you see {place}?", "What is there {place}?",
        ],
        "zh": ["{place}是什么？", "{place}有什么？", "图片{place}是什么？", "图片{place}有什么？"],
    },
    "relative": {
        "en": [
            "Where is the {thing} relative to the {other}?", "Where is the {thing} compared to the {other}?",
            "On which side of the {other} is the {thing}?", "Seen from the {other}, where is the {thing}?",
            "What is the position of the {thing} relative to the {other}?",
            "Compared to the {other}, where is the {thing}?", "Relative to the {other}, where is the {thing}?",
        ],
        "zh": ["{thing}在{other}的哪一边？", "{thing}在{other}的什么方向？", "{thing}在{other}的哪个方向？"],
    },
    "side": {
        "en": [
            "Is the {thing} {one} or {two} the {other}?", "Is the {thing} {two} or {one} the {other}?",
            "Tell me: is the {thing} {one} or {two} the {other}?", "Which is right: the {thing} is {one} or {two} the {other}?",
            "{thing} {one} or {two} the {other}?", "Do you see the {thing} {one} or {two} the {other}?",
            "Tell me, is the {thing} {two} or {one} the {other}?",
        ],
        "zh": ["{thing}在{other}的{one}还是{two}？", "{thing}在{other}的{two}还是{one}？", "请问{thing}在{other}的{one}还是{two}？"],
    },
    "exists": {
        "en": [
            "Is there {a_thing}?", "Is there {a_thing} in the picture?", "Do you see {a_thing}?", "Can you see {a_thing}?",
            "Does the picture show {a_thing}?", "Does the image contain {a_thing}?", "Is {a_thing} in the image?",
            "Are there any {things}?", "Do you see any {things}?", "Is {a_thing} visible?",
            "Is there {a_thing} in this image?", "Are there any {things} in the picture?",
        ],
        "zh": ["有{thing}吗？", "图中有{thing}吗？", "图片里有没有{thing}？", "你看到{thing}了吗？", "图片里有{thing}吗？"],
    },
    "read": {
        "en": [
            "Read the text.", "What does the text say?", "What is written in the picture?", "What word is written here?",
            "Read the word in the image.", "What text do you see?", "Which word do you see?", "What does it say?",
            "Please read the text.", "What is the text in the picture?", "What text is in the image?", "Read the word.",
        ],
        "zh": ["读出文字。", "图中写了什么？", "图片里的文字是什么？", "写了什么？", "图中的文字是什么？"],
    },
    "find": {
        "en": [
            "Find the {thing}.", "Find the {thing} and give its box.", "Locate the {thing}.",
            "Give the bounding box of the {thing}.", "Locate the {thing} and output its bbox coordinates in JSON format.",
            "Detect the {thing}.", "Where is the {thing}? Answer with a bounding box in JSON.",
            "Output the bounding box of the {thing} in JSON.", "Show me the box of the {thing}.",
            "Find the {thing} and output its bounding box.", "Locate the {thing} in the picture with a bounding box.",
        ],
        "zh": ["找到{thing}。", "框出{thing}。", "给出{thing}的边界框。", "以JSON格式输出{thing}的坐标。", "请框出{thing}。"],
    },
    "find_all": {
        "en": [
            "Find all {things}.", "Locate all {things}.", "Detect all {things}.", "Give the bounding boxes of all {things}.",
            "Locate every instance of {things} and report bbox coordinates in JSON format.",
            "Output the bounding boxes of all {things} in JSON.", "Find every one of the {things}.",
            "Show me the boxes of all {things}.", "Find all {things} and output their bounding boxes.", "Detect every one of the {things}.",
        ],
        "zh": ["找到所有{things}。", "框出所有{things}。", "给出所有{things}的边界框。", "请框出所有{things}。"],
    },
    "difference": {
        "en": [
            "What is the difference between the two pictures?", "What changed?", "What is different in the second picture?",
            "Compare the two images.", "Which change do you see?", "What changed between the two images?",
            "Tell me the difference.", "Find the difference.", "What is different?",
            "What is the difference between the two images?", "What changed in the second picture?",
        ],
        "zh": ["两张图片有什么不同？", "什么变了？", "第二张图片有什么变化？", "两张图片有什么区别？"],
    },
    "same": {
        "en": [
            "Are the two pictures the same?", "Are these images equal?", "Do both pictures show the same?",
            "Are the two images identical?", "Is the second picture the same as the first?",
            "Are the two images the same?", "Are these pictures identical?",
        ],
        "zh": ["两张图片一样吗？", "这两张图片相同吗？", "两张图片相同吗？"],
    },
    "movement": {
        "en": [
            "Which way does it move?", "In which direction does the shape move?", "Where does the {thing} move?",
            "Which way does the {thing} move?", "These are frames of a video. Which way does the shape move?",
            "What is the direction of movement?", "How does the {thing} move?", "Which direction does it move?",
            "In which direction does the {thing} move?", "Which way is the shape moving?",
        ],
        "zh": ["它往哪个方向移动？", "{thing}往哪里移动？", "图形往哪个方向移动？", "{thing}往哪个方向移动？"],
    },
    "and_colour": {
        "en": ["And its colour?", "What colour is it?", "And the color?", "Which colour does it have?", "What is its color?", "And its color?", "What color is it?"],
        "zh": ["它是什么颜色？", "颜色呢？", "它的颜色呢？"],
    },
    "and_where": {
        "en": ["And where is it?", "Where is it?", "Where?", "And its position?", "Where is it in the picture?", "Where in the picture is it?", "Where is that?"],
        "zh": ["它在哪里？", "在哪里？", "它在什么位置？"],
    },
    "and_find": {
        "en": ["Give its box.", "Find it.", "And its bounding box?", "Locate it.", "Where is it? Answer with a bounding box in JSON.", "Show me its box.", "Give its bounding box."],
        "zh": ["框出它。", "给出它的边界框。", "请框出它。"],
    },
    "and_other": {
        "en": ["And the {shape}?", "What about the {shape}?", "And what colour is the {shape}?", "And the {shape}, please?", "And what about the {shape}?"],
        "zh": ["{shape}呢？", "那{shape}呢？", "那么{shape}呢？"],
    },
}  # fmt: skip


def wording(rng: np.random.Generator, task: str, language: str, held_out: bool) -> str:
    choices = WORDINGS[task][language]
    split = len(choices) - HELD_OUT[language]
    choices = choices[split:] if held_out else choices[:split]
    return choices[rng.integers(len(choices))]
