"""Parsing and printing expressions: one canonical form, and errors that point at the place."""

from __future__ import annotations

import contextlib
import keyword
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eigenwalk.errors import ExpressionError
from eigenwalk.names.expression import parse, parse_generator
from eigenwalk.names.tree import Call, Chain, Complement, Held, Open, Weighted

CANONICAL = {
    "identity": "identity",
    " attributes( smile ) ": "attributes(smile)",
    "mask(sofa)|fourier.low(cycles=8)": "mask(sofa) | fourier.low(cycles=8)",
    "a | (b | c)": "a | b | c",
    "a\n  | b": "a | b",
    "~mask(sofa)": "~mask(sofa)",
    "~~x": "x",
    "~( a|b )|c": "~(a | b) | c",
    "identity<1": "identity < 1",
    "a | b < .25": "a | b < 0.25",
    "0.5*a": "0.5 * a",
    "2 * a | b": "2 * (a | b)",
    "2 * (a | b)": "2 * (a | b)",
    "f(z=1, a=[0, -.5], b=True, c='true', d='sofa', e='two words', g=a.b)": (
        'f(a=(0, -0.5), b=true, c="true", d=sofa, e="two words", g=a.b, z=1)'
    ),
    'f("class", "", (x,), ())': 'f("class", "", x, ())',
    "./my_feature.py:fn": 'file("./my_feature.py:fn")',
    "0.5*../a-b/x.py:Net.make( size = 3 )": '0.5 * file("../a-b/x.py:Net.make", size=3)',
    "my_feature.py:fn() | g": 'file("my_feature.py:fn") | g',
    "~(/abs/x.py:fn)<2": '~file("/abs/x.py:fn") < 2',
    "C:/mine/x.py:fn": 'file("C:/mine/x.py:fn")',
    "file(x.py:fn)": 'file("x.py:fn")',
    "mask(file=sofa.png, box=(.1, 1))": "mask(box=(0.1, 1), file=sofa.png)",
    "mask(file=./sofa.png)": 'mask(file="./sofa.png")',
    "f(g(3))": "f(g(3))",
    "position( of = mask(label = sofa)|~low )": "position(of=mask(label=sofa) | ~low)",
    "f(~(a|b), ~~c(1))": "f(~(a | b), c(1))",
    "f(~~word)": "f(word)",
}

WRONG = {  # text -> the faulty characters, and a part of the message
    "": ("", "empty"),
    "   ": ("   ", "empty"),
    "a |": ("", "does not parse"),
    "a b": ("b", "does not parse"),
    "f(x": ("(", "never closed"),
    "a | b)": (")", "unmatched"),
    "f('x": ("'x", "closing quote"),
    "f(label=class)": ("class", "quotes"),
    "a = 3": ("=", "does not parse"),
    "a > 1": ("a > 1", "'<'"),
    "a <= 1": ("a <= 1", "'<'"),
    "1 < a": ("1 < a", "left"),
    "a < 1 < 2": ("a < 1 < 2", "one comparison"),
    "a < b": ("b", "positive number"),
    "a < -1": ("-1", "positive number"),
    "a < 1e999": ("1e999", "positive number"),
    "a < true": ("true", "positive number"),
    "a | (b < 3)": ("b < 3", "end of the whole"),
    "~(a < 3)": ("a < 3", "end of the whole"),
    "0.5 * a < 3": ("0.5 * a", "one of them"),
    "(0.5 * a) | b": ("0.5 * a", "before the whole"),
    "a * 0.5": ("a * 0.5", "comes first"),
    "0 * a": ("0", "positive number"),
    "lambda: a": ("lambda: a", "not part of the language"),
    "a and b": ("a and b", "not part of the language"),
    "a[3]": ("a[3]", "not part of the language"),
    "f(3).x": ("f(3).x", "words joined by dots"),
    "f(3)(4)": ("f(3)", "words joined by dots"),
    "f(x=1, x=2)": ("x=2", "given twice"),
    "f(x=1, 2)": (")", "put it first"),
    "f(**x)": ("**x", "name=value"),
    "f(*x)": ("*x", "a value is"),
    "f(g(3, 4) < 1)": ("g(3, 4) < 1", "a value is"),
    "f((g(3), 4))": ("g(3)", "several values"),
    "f(of=0.5 * g(x))": ("0.5 * g(x)", "a value is"),
    "f(~2)": ("2", "expected the name"),
    "f(golden-retriever)": ("golden-retriever", 'text in quotes: "golden-retriever"'),
    "0.5 * (a < 3)": ("a < 3", "without a weight"),
    "f(1j)": ("1j", "a value is"),
    "f(None)": ("None", "a value is"),
    "f((1, (2, 3)))": ("(2, 3)", "several values"),
    "f(1e999)": ("1e999", "finite"),
    f"f(0x1{'0' * 3900})": (f"0x1{'0' * 3900}", "between -2^63 and 2^63"),
    f"f(({'1,' * 1000}7))": ("7", "at most 1000 values, got 1001"),
    "n" * 201: ("n" * 201, "words joined by dots"),
    "3": ("3", "found a number"),
    "'./x.py:fn'": ("'./x.py:fn'", 'file("./x.py:fn")'),
    "é | f(x=1 + 2)": ("1 + 2", "a value is"),
    "./my.py:fn(x=1+2)": ("1+2", "a value is"),
    "a | ./my.py:fn | 3": ("3", "found a number"),
    "./my.py": ("./my.py", "./my_file.py:name"),
    "~/my.py:fn": ("~/my.py:fn", "home folder"),
    "file()": ("file()", "my_feature.py:fn"),
    "a # b": ("#", "no meaning"),
}


@pytest.mark.parametrize("text", CANONICAL)
def test_an_expression_has_one_canonical_form(text):
    assert str(parse(text)) == CANONICAL[text]
    assert str(parse(CANONICAL[text])) == CANONICAL[text]


@pytest.mark.parametrize("text", WRONG)
def test_errors_point_at_the_place(text):
    place, message = WRONG[text]
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    error = caught.value
    assert message in error.message
    assert error.text == text and max(map(len, str(error).splitlines())) < 320
    assert text[error.start : error.end] == place


@pytest.mark.parametrize(
    "text",
    ["(" * 300, "~" * 3000 + "a", "|".join("a" * 1900), "a" * 100_000, "f(" * 900, "f(" + "9" * 3990 + ")", "-" * 3999,
     "f(" + "[" * 150 + "]" * 150 + ")", "a\0b", "f('\ud800')", "a < 1" + "0" * 400],
)  # fmt: skip
def test_hostile_text_raises_an_expression_error(text):
    with contextlib.suppress(ExpressionError):
        parse(text)


@given(st.text(alphabet="ab.|~<*()[]=,\"'\\0159-/:py \n#éﬁ", max_size=40))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_text_parses_or_raises_an_expression_error(text):
    for read in (parse, parse_generator):
        try:
            once = str(read(text))
        except ExpressionError:
            continue
        assert str(read(once)) == once


letters = string.ascii_lowercase + "_"
words = st.builds(str.__add__, st.sampled_from(letters), st.text(letters + string.digits, max_size=6)).filter(
    lambda word: not keyword.iskeyword(word) and word not in ("true", "false")
)
words = words.filter(lambda word: word != "py")  # x.py is a file
names = st.lists(words, min_size=1, max_size=3).map(".".join)
numbers = st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False)
strings = st.text(max_size=8) | names
several = st.lists(numbers | strings, max_size=4).filter(lambda items: len(items) != 1).map(tuple)
values = numbers | strings | st.booleans() | several
calls = st.builds(
    Call,
    names.filter(lambda name: name not in ("file", "open")),
    st.lists(values, max_size=2).map(tuple),
    st.dictionaries(words, values, max_size=3).map(lambda options: tuple(options.items())),
)


def chains(parts):
    """Chains of two parts or more."""
    return st.lists(parts, min_size=2, max_size=3).map(lambda found: Chain(tuple(found)))


nodes = calls | calls.map(Complement) | chains(calls | calls.map(Complement) | chains(calls).map(Complement))
positive = st.floats(min_value=1e-300, max_value=1e300)
expressions = nodes | st.builds(Held, nodes, positive) | st.builds(Weighted, positive, nodes)


@given(expressions)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_printed_expressions_parse_to_the_same_tree(tree):
    assert parse(str(tree)) == tree
    assert str(parse(str(tree))) == str(tree)


GENERATORS = {
    "rooms": Call("rooms"),
    "biggan(label=golden_retriever)": Call("biggan", (), (("label", "golden_retriever"),)),
    "./my_generator.py:build": Call("file", ("./my_generator.py:build",)),
    "my_generator.py:build(n=3)": Call("file", ("my_generator.py:build",), (("n", 3),)),
    "ffhq.pkl": Open("ffhq.pkl"),
    "ffhq.pkl(space=w)": Open("ffhq.pkl", (("space", "w"),)),
    "my models/ffhq": Open("my models/ffhq"),
    'open("ffhq.pkl", space=w)': Open("ffhq.pkl", (("space", "w"),)),
    "exists.xyz": Open("exists.xyz"),
    "odd (1) [name].dat": Open("odd (1) [name].dat"),
    "missing.xyz": Call("missing.xyz"),
}


@pytest.mark.parametrize("text", GENERATORS)
def test_generators_are_parsed_from_names_and_paths(text):
    tree = parse_generator(text, isfile=lambda path: path in ("exists.xyz", "rooms", "odd (1) [name].dat"))
    assert tree == GENERATORS[text]
    assert parse_generator(str(tree)) == tree


def test_a_folder_with_brackets_and_spaces_is_a_path(tmp_path):
    folder = tmp_path / "my model (v2) [64]"
    folder.mkdir()
    assert parse_generator(str(folder)) == Open(str(folder))


@pytest.mark.parametrize(
    "text", ["rooms | mask", "~rooms", "0.5 * rooms", "rooms < 3", "open()", "open(3)", "'x.pkl'", ""]
)
def test_a_generator_is_a_single_name(text):
    with pytest.raises(ExpressionError):
        parse_generator(text)
