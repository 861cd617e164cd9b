"""How every task is asked. The last wordings of each list are never trained on: they are the held-out ones."""

import re

import numpy as np

HELD_OUT = {"en": 2, "zh": 1}

WORDINGS: dict[str, dict[str, list[str]]] = {
    "describe": {
        "en": [
            "Describe the picture.", "Describe this image.", "What is in this picture?", "What do you see?",
            "What can you see in the image?", "What does the picture show?", "Tell me what is in the image.",
            "Give a description of this picture.", "What is shown here?", "Describe what you see.", "Describe it.",
            "What is this?", "What does the image show?", "Describe the picture in one sentence.",
            "Which things do you see?", "What is on the picture?", "Tell me what you see.", "List what you see.",
            "Give a short description.", "Caption this image.",
            "What is in the image?", "Please describe this picture.",
        ],
        "zh": [
            "描述这张图片。", "图片里有什么？", "你看到了什么？", "请描述图片。", "这是什么？", "图里有什么？", "图中有什么？", "描述一下。", "说说你看到了什么。",
            "这张图里有什么东西？", "请描述这张图。", "看图说话。", "图片里有哪些东西？",
            "这张图片里有什么？",
        ],
    },
    "colour": {
        "en": [
            "What colour is the {shape}?", "What color is the {shape}?", "What is the colour of the {shape}?",
            "Which colour is the {shape}?", "Tell me the color of the {shape}.", "Name the colour of the {shape}.",
            "The {shape} has which colour?", "What is the {shape}'s color?", "Which color does the {shape} have?",
            "The {shape}: what colour?", "Say the colour of the {shape}.", "What is the colour of this {shape}?",
            "What colour does the {shape} have?", "In what color is the {shape}?", "Give the color of the {shape}.",
            "What colour is that {shape}?", "Is the {shape} red or blue or what color?", "Color of the {shape}?",
            "What color do you see on the {shape}?",
            "What is the color of the {shape}?", "Which color is the {shape}?",
        ],
        "zh": [
            "{shape}是什么颜色？", "{shape}的颜色是什么？", "{shape}是什么颜色的？", "{shape}是哪种颜色？", "{shape}有什么颜色？", "{shape}什么颜色？",
            "告诉我{shape}的颜色。", "说说{shape}的颜色。", "说出{shape}是什么颜色。", "{shape}的颜色？", "{shape}是啥颜色？", "请告诉我{shape}是什么颜色。",
            "{shape}是什么色的？", "请说{shape}颜色。",
            "请说出{shape}的颜色。",
        ],
    },
    "shape": {
        "en": [
            "What shape is {colour}?", "Which shape is {colour}?", "What is the shape of the {colour} object?",
            "What is {colour} in this picture?", "Name the {colour} shape.",
            "Tell me the shape of the {colour} thing.", "What is the {colour} object?", "Which object is {colour}?",
            "The {colour} one has what shape?", "Which shape has the colour {colour}?",
            "What form has the {colour} thing?", "Give the shape of the {colour} object.",
            "What kind of shape is the {colour} one?", "The {colour} object is what shape?",
            "What is the form of the {colour} shape?", "Which {colour} shape is there?",
            "What {colour} thing do you see?", "What {colour} shape do you see?", "Shape of the {colour} object?",
            "What is the {colour} shape?", "What shape is the {colour} object?",
        ],
        "zh": [
            "{colour}的是什么形状？", "{colour}的图形是什么？", "哪个形状是{colour}的？", "{colour}的是什么？", "{colour}的东西是什么形状？",
            "什么形状是{colour}的？", "告诉我{colour}的图形。", "{colour}图形是什么形状？", "说出{colour}的形状。", "{colour}的形状是什么？",
            "哪个图形是{colour}的？", "{colour}的那个是什么形状？",
            "{colour}的图形是什么形状？",
        ],
    },
    "count": {
        "en": [
            "How many {things} are there?", "How many {things} do you see?", "Count the {things}.",
            "How many {things} are in the picture?", "How many {things} can you see?",
            "What is the number of {things}?", "How many {things} does the image show?",
            "Tell me how many {things} there are.", "Please count the {things}.", "How many {things}?",
            "Number of {things}?", "How many {things} can you count?", "How many {things} can be seen?",
            "Give the number of {things}.", "Are there many {things}? How many?", "How many {things} does it show?",
            "How many {things} have you found?", "What number of {things} do you see?",
            "Say how many {things} you see.", "I see some {things}. How many?",
            "How many {things} are in this image?", "How many {things} are visible?",
        ],
        "zh": [
            "有几个{things}？", "图中有多少个{things}？", "数一数{things}。", "图片里有几个{things}？", "{things}有几个？", "{things}有多少？",
            "一共有几个{things}？", "{things}有多少个？", "请数{things}。", "你看到几个{things}？", "能看到几个{things}？", "{things}的数量是多少？",
            "共有多少个{things}？", "告诉我有几个{things}。",
            "有多少个{things}？",
        ],
    },
    "where": {
        "en": [
            "Where is the {thing}?", "Where do you see the {thing}?", "Where is the {thing} in the picture?",
            "In which part of the image is the {thing}?", "Tell me where the {thing} is.",
            "What is the position of the {thing}?", "Where can I find the {thing}?", "Where is the {thing} located?",
            "Where does the {thing} lie?", "At which place is the {thing}?", "Say where the {thing} is.",
            "Can you tell where the {thing} is?", "On which side of the image is the {thing}?",
            "Which part of the picture holds the {thing}?", "What place is the {thing} at?",
            "Where in the image do you see the {thing}?", "The {thing}, where is it?",
            "In what part of the picture is the {thing}?", "Where has the {thing} been put?",
            "Where is the {thing} in this image?", "Where in the picture is the {thing}?",
        ],
        "zh": [
            "{thing}在哪里？", "{thing}在图片的什么位置？", "{thing}在什么位置？", "{thing}在哪？", "{thing}在哪儿？", "{thing}的位置是什么？",
            "{thing}在图片的哪里？", "{thing}在图的哪个位置？", "告诉我{thing}在哪里。", "{thing}位于哪里？", "{thing}在图中什么位置？",
            "说出{thing}的位置。", "{thing}在图片里的哪里？", "哪里有{thing}？",
            "{thing}在图中的哪里？",
        ],
    },
    "what_at": {
        "en": [
            "What is {place}?", "What do you see {place}?", "Which shape is {place}?",
            "What is {place} of the picture?", "Which object is {place}?", "Tell me what is {place}.",
            "What is to be seen {place}?", "Which thing is {place}?", "Name what is {place}.",
            "{place}, what is there?", "What stands {place}?", "What shape do you see {place}?",
            "What does the picture show {place}?", "What have we {place}?", "Which shape do you see {place}?",
            "What object is {place}?",
            "What can you see {place}?", "What is there {place}?",
        ],
        "zh": [
            "{place}是什么？", "{place}有什么？", "图片{place}是什么？", "{place}是什么图形？", "{place}有什么图形？", "{place}的是什么？",
            "在{place}的是什么？", "{place}那个是什么？", "你看到{place}有什么？", "图中{place}是什么？", "{place}的图形是什么？", "图里{place}有什么？",
            "图片{place}有什么？",
        ],
    },
    "relative": {
        "en": [
            "Where is the {thing} relative to the {other}?", "Where is the {thing} compared to the {other}?",
            "On which side of the {other} is the {thing}?", "Seen from the {other}, where is the {thing}?",
            "What is the position of the {thing} relative to the {other}?",
            "Where does the {thing} lie, seen from the {other}?",
            "In which direction from the {other} is the {thing}?", "The {thing} is on which side of the {other}?",
            "How does the {thing} lie relative to the {other}?",
            "From the {other}, in which direction is the {thing}?",
            "Relative to the {other}, in which direction is the {thing}?",
            "Compared to the {other}, on which side is the {thing}?", "Which side of the {other} is the {thing} on?",
            "Tell me where the {thing} is relative to the {other}.",
            "Where is the {thing} when seen from the {other}?",
            "Compared to the {other}, where is the {thing}?", "Relative to the {other}, where is the {thing}?",
        ],
        "zh": [
            "{thing}在{other}的哪一边？", "{thing}在{other}的什么方向？", "{thing}在{other}的哪边？", "相对于{other}，{thing}在哪里？",
            "从{other}看，{thing}在哪个方向？", "{thing}在{other}的哪里？", "{thing}位于{other}的哪一边？", "{thing}在{other}的哪一侧？",
            "{thing}在{other}什么方向？",
            "{thing}在{other}的哪个方向？",
        ],
    },
    "side": {
        "en": [
            "Is the {thing} {one} or {two} the {other}?", "Is the {thing} {two} or {one} the {other}?",
            "Tell me: is the {thing} {one} or {two} the {other}?",
            "Which is right: the {thing} is {one} or {two} the {other}?", "{thing} {one} or {two} the {other}?",
            "Is the {thing} lying {one} or {two} the {other}?", "Does the {thing} lie {one} or {two} the {other}?",
            "{one} or {two} the {other}: where is the {thing}?", "Where is the {thing}, {one} or {two} the {other}?",
            "Can you say if the {thing} is {one} or {two} the {other}?",
            "Say whether the {thing} is {two} or {one} the {other}.",
            "I ask: is the {thing} {two} or {one} the {other}?",
            "Do you see the {thing} {one} or {two} the {other}?",
            "Tell me, is the {thing} {two} or {one} the {other}?",
        ],
        "zh": [
            "{thing}在{other}的{one}还是{two}？", "{thing}在{other}的{two}还是{one}？", "{thing}是在{other}的{one}还是{two}？",
            "{thing}位于{other}的{one}还是{two}？", "{thing}在{other}{one}还是{two}？", "{thing}是在{other}的{two}还是{one}？",
            "告诉我{thing}在{other}的{one}还是{two}。",
            "请问{thing}在{other}的{one}还是{two}？",
        ],
    },
    "exists": {
        "en": [
            "Is there {a_thing}?", "Is there {a_thing} in the picture?", "Do you see {a_thing}?",
            "Can you see {a_thing}?", "Does the picture show {a_thing}?", "Does the image contain {a_thing}?",
            "Is {a_thing} in the image?", "Are there any {things}?", "Do you see any {things}?",
            "Is {a_thing} visible?", "Do you find {a_thing}?", "Does it show {a_thing}?",
            "Does it show any {things}?", "Can {a_thing} be seen?", "Have you seen {a_thing}?",
            "Does the picture have {a_thing}?", "Are {things} visible?", "Are there {things}?",
            "Can you find {a_thing}?", "Can you see any {things}?", "Is {a_thing} there?", "Is {a_thing} shown?",
            "Does the picture contain any {things}?", "Do we see {a_thing}?",
            "Is there {a_thing} in this image?", "Are there any {things} in the picture?",
        ],
        "zh": [
            "有{thing}吗？", "图中有{thing}吗？", "图片里有没有{thing}？", "你看到{thing}了吗？", "有没有{thing}？", "是否有{thing}？",
            "你能看到{thing}吗？", "存在{thing}吗？", "图里有{thing}吗？", "图中有没有{thing}？", "能看到{thing}吗？", "你看到{thing}没有？",
            "图片中有{thing}吗？", "请问有{thing}吗？", "看得到{thing}吗？", "里面有{thing}吗？", "这张图里有{thing}吗？",
            "图片里有{thing}吗？",
        ],
    },
    "read": {
        "en": [
            "Read the text.", "What does the text say?", "What is written in the picture?",
            "What word is written here?", "Read the word in the image.", "What text do you see?",
            "Which word do you see?", "What does it say?", "Please read the text.",
            "What is the text in the picture?", "What is the word?", "What text is there?", "What is written?",
            "What is written there?", "Tell me the text.", "What word is this?", "Give me the text.",
            "Which text is in the picture?", "Read it.", "Read the text in the image.", "What word do you see?",
            "Spell the word.", "What word is in the picture?", "Which word is in the image?",
            "What text is in the image?", "Read the word.",
        ],
        "zh": [
            "读出文字。", "图中写了什么？", "图片里的文字是什么？", "写了什么？", "文字是什么？", "文字写的是什么？", "写的是什么？", "读一下文字。", "请读出文字。",
            "图片里写了什么？", "上面写了什么？", "读出图中的文字。", "请读出图中的字。", "图中写的是什么？", "文字内容是什么？",
            "图中的文字是什么？",
        ],
    },
    "find": {
        "en": [
            "Find the {thing}.", "Find the {thing} and give its box.", "Locate the {thing}.",
            "Give the bounding box of the {thing}.",
            "Locate the {thing} and output its bbox coordinates in JSON format.", "Detect the {thing}.",
            "Where is the {thing}? Answer with a bounding box in JSON.",
            "Output the bounding box of the {thing} in JSON.", "Show me the box of the {thing}.",
            "Give me the box of the {thing}.", "Mark the {thing}.", "Draw a box around the {thing}.",
            "Bounding box of the {thing}?", "Please find the {thing}.",
            "Report the bbox coordinates of the {thing} in JSON.", "Give the coordinates of the {thing}.",
            "Find the {thing} in the picture and output its box.", "Locate the {thing} with a box.",
            "Where exactly is the {thing}? Give a box.", "Output the box of the {thing}.",
            "Detect the {thing} and give its bounding box.", "Locate the {thing} and give its bounding box.",
            "Find the {thing} with a bounding box.",
            "Find the {thing} and output its bounding box.",
            "Locate the {thing} in the picture with a bounding box.",
        ],
        "zh": [
            "找到{thing}。", "框出{thing}。", "给出{thing}的边界框。", "以JSON格式输出{thing}的坐标。", "找出{thing}。", "请找到{thing}。",
            "标出{thing}。", "给出{thing}的框。", "定位{thing}。", "输出{thing}的边界框。", "用框标出{thing}。", "请给出{thing}的坐标。",
            "请标出{thing}的位置框。", "框出图中的{thing}。",
            "请框出{thing}。",
        ],
    },
    "find_all": {
        "en": [
            "Find all {things}.", "Locate all {things}.", "Detect all {things}.",
            "Give the bounding boxes of all {things}.",
            "Locate every instance of {things} and report bbox coordinates in JSON format.",
            "Output the bounding boxes of all {things} in JSON.", "Find every one of the {things}.",
            "Show me the boxes of all {things}.", "Mark all {things}.", "Box all {things}.",
            "Find all the {things}.", "Draw boxes around all {things}.",
            "Find every one of the {things} and give the boxes.", "Give me boxes of all {things}.",
            "Please find all {things}.", "Detect all the {things} and give their bounding boxes.",
            "Locate every one of the {things}.", "Locate all {things} and output their boxes.",
            "Detect every instance of the {things}.",
            "Find all {things} and output their bounding boxes.", "Detect every one of the {things}.",
        ],
        "zh": [
            "找到所有{things}。", "框出所有{things}。", "给出所有{things}的边界框。", "找出所有{things}。", "标出所有{things}。",
            "请找到所有{things}。", "找到全部{things}。", "框出全部{things}。", "定位所有{things}。", "输出所有{things}的边界框。",
            "请标出所有的{things}。",
            "请框出所有{things}。",
        ],
    },
    "difference": {
        "en": [
            "What is the difference between the two pictures?", "What changed?",
            "What is different in the second picture?", "Compare the two images.", "Which change do you see?",
            "What changed between the two images?", "Tell me the difference.", "Find the difference.",
            "What is different?", "What is new?", "What has changed?", "Which difference do you see?",
            "Tell me what changed.", "How do the two pictures differ?",
            "How does the second picture differ from the first?", "What is the change?", "What is the difference?",
            "What differs between the two images?", "Name the difference between the images.",
            "What happened between the two pictures?", "What is not the same in the second image?",
            "What is the difference between the two images?", "What changed in the second picture?",
        ],
        "zh": [
            "两张图片有什么不同？", "什么变了？", "第二张图片有什么变化？", "有什么变化？", "有什么不同？", "哪里变了？", "两张图有什么区别？", "什么改变了？", "两张图片哪里不一样？",
            "说出两张图片的不同。", "比较两张图片。", "找出不同。",
            "两张图片有什么区别？",
        ],
    },
    "same": {
        "en": [
            "Are the two pictures the same?", "Are these images equal?", "Do both pictures show the same?",
            "Are the two images identical?", "Is the second picture the same as the first?",
            "Are both images the same?", "Are they the same?",
            "Are both pictures identical?", "Do the two images show the same?", "Is it twice the same picture?",
            "Are these two pictures the same?", "Are the pictures equal?",
            "Is the second image identical to the first?", "Are these the same images?",
            "Are the two images the same?", "Are these pictures identical?",
        ],
        "zh": [
            "两张图片一样吗？", "这两张图片相同吗？", "两张图一样吗？", "它们相同吗？", "它们一样吗？", "这两张图一样吗？", "两张图片是一样的吗？", "图片相同吗？", "两张图片是否相同？",
            "两张图片相同吗？",
        ],
    },
    "movement": {
        "en": [
            "Which way does it move?", "In which direction does the shape move?", "Where does the {thing} move?",
            "Which way does the {thing} move?", "These are frames of a video. Which way does the shape move?",
            "What is the direction of movement?", "How does the {thing} move?", "Which direction does it move?",
            "Where is it going?", "Where does it move?", "How does it move?", "Where does the shape go?",
            "Which way does the shape go?", "Which direction does the {thing} take?",
            "In which direction is the {thing} moving?", "Which way is the {thing} moving?",
            "Does it move, and where to?", "Tell me which way the {thing} moves.",
            "What is the direction in which it moves?", "Into which direction does the shape move?",
            "Which way is it moving?", "Is it moving, and which way?",
            "In which direction does the {thing} move?", "Which way is the shape moving?",
        ],
        "zh": [
            "它往哪个方向移动？", "{thing}往哪里移动？", "图形往哪个方向移动？", "它怎么移动？", "它向哪里移动？", "{thing}怎么移动？", "往哪里移动？", "它的移动方向是什么？",
            "{thing}的移动方向是什么？", "图形怎么移动？", "它朝哪个方向移动？", "{thing}朝哪里移动？", "它向哪个方向移动？",
            "{thing}往哪个方向移动？",
        ],
    },
    "and_colour": {
        "en": [
            "And its colour?", "What colour is it?", "And the color?", "Which colour does it have?",
            "What is its color?", "Its colour?", "The colour?", "Which color is it?", "And which colour is it?",
            "Tell me its colour.", "And what colour does it have?", "What colour does it have?",
            "And its color?", "What color is it?",
        ],
        "zh": [
            "它是什么颜色？", "颜色呢？", "什么颜色？", "是什么颜色？", "它什么颜色？", "那颜色呢？", "它是什么颜色的？", "告诉我它的颜色。",
            "它的颜色呢？",
        ],
    },
    "and_where": {
        "en": [
            "And where is it?", "Where is it?", "Where?", "And its position?", "Where is it in the picture?",
            "And where?", "Its position?", "Tell me where it is.", "Where in the image is it?",
            "Where exactly is it?", "In which part of the picture is it?", "And where do you see it?",
            "Where do you see it?",
            "Where in the picture is it?", "Where is that?",
        ],
        "zh": [
            "它在哪里？", "在哪里？", "它在哪？", "那它在哪里？", "位置呢？", "它的位置呢？", "它在图中的哪里？", "告诉我它在哪里。",
            "它在什么位置？",
        ],
    },
    "and_find": {
        "en": [
            "Give its box.", "Find it.", "And its bounding box?", "Locate it.",
            "Where is it? Answer with a bounding box in JSON.", "Its box?", "Give me its box.", "Now find it.",
            "Detect it.", "Give its bbox in JSON.", "Box it.", "And its box?", "Show its bounding box.",
            "Output its bounding box.",
            "Show me its box.", "Give its bounding box.",
        ],
        "zh": [
            "框出它。", "给出它的边界框。", "找到它。", "标出它。", "给出它的框。", "它的边界框呢？", "请标出它。", "请找到它。",
            "请框出它。",
        ],
    },
    "and_other": {
        "en": [
            "And the {shape}?", "What about the {shape}?", "And what colour is the {shape}?",
            "And which colour is the {shape}?", "And the {shape}'s colour?", "Now the {shape}?", "The {shape}?",
            "And what is the colour of the {shape}?", "What colour does the {shape} have?",
            "What about the colour of the {shape}?",
            "And the {shape}, please?", "And what about the {shape}?",
        ],
        "zh": [
            "{shape}呢？", "那{shape}呢？", "还有{shape}呢？", "{shape}的呢？", "{shape}的颜色呢？", "那么{shape}是什么颜色？",
            "那{shape}是什么颜色？",
            "那么{shape}呢？",
        ],
    },
}  # fmt: skip


# What people say before and after a question; only in training. None of it makes a held-out wording.
_BEFORE = {
    "en": ["Please tell me: ", "Tell me: ", "Can you tell me: ", "Look at the picture. ", "Look closely. ", "A question: ", "Hello! ", "Now ", "So, ", "Please, ", "Please answer: ", "In this picture: ", "In the image: ", "Quick question: "],
    "zh": ["请问", "请", "图中", "图片里", "请告诉我，", "告诉我：", "看图回答：", "在图片中，", "在这张图里，", "问题：", "那么", "你好，"],
}
_PLACES = ["in the picture", "in this picture", "in the image", "in this image", "in the photo", "in this photo", "here", "there", "in it", "on the picture"]
_AFTER = {
    "en": [" Answer in one word.", " Be short.", " Please.", " Thank you.", " Answer briefly.", " Be precise."],
    "zh": ["请简短回答。", "谢谢。", "请回答。", "一个词回答。"],
}
_PLACED = ("colour", "shape", "count", "where", "what_at", "relative", "side", "exists", "read", "find", "find_all")


def wording(rng: np.random.Generator, task: str, language: str, held_out: bool) -> str:
    choices = WORDINGS[task][language]
    split = len(choices) - HELD_OUT[language]
    if held_out:
        return choices[split + rng.integers(HELD_OUT[language])]
    known = choices[rng.integers(split)]
    said = _varied(rng, known, task, language)
    return known if _plain(said) in {_plain(each) for each in choices[split:]} else said


def _varied(rng: np.random.Generator, text: str, task: str, language: str) -> str:
    if language == "en" and task in _PLACED and rng.random() < 0.3 and not re.search("picture|image|here|there$|there[.?]", text):
        text = f"{text[:-1]} {_PLACES[rng.integers(len(_PLACES))]}{text[-1]}"
    if rng.random() < 0.2:
        before = _BEFORE[language][rng.integers(len(_BEFORE[language]))]
        text = before + (text[0].lower() + text[1:] if before.rstrip()[-1] not in ".!:" else text)
    if rng.random() < 0.1:
        text += _AFTER[language][rng.integers(len(_AFTER[language]))]
    return text


def _plain(text: str) -> str:
    return re.sub(r"[^\w{}]", "", text).lower()
