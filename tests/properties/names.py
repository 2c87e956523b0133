"""Names with every kind of character, as the services take them."""

from __future__ import annotations

from hypothesis import strategies as st

TROUBLESOME = (
    "web",
    "default",
    " ",
    "a b",
    'a "quoted" name',
    "back\\slash",
    "ends with \\",
    "two\nlines",
    "tab\tand\rreturn",
    "x:y/z",
    "..",
    "%2F%00",
    "#quot;",
    "#35;",
    "&lt;b&gt;",
    "<b>bold</b><script>alert(1)</script>",
    '"];',
    "]:::blocked",
    "n0 --> n1",
    "%% comment",
    "end",
    "subgraph",
    "`code`",
    "\\N\\G\\l",
    "NaN",
    "null",
    "\u202eright to left",
    "line\u2028separator",
    "\x00nul",
    "\x1b[31mred",
    "ünïcödé",
    "e\u0301 and \u00e9",
    "😀",
    "\U0001d4b3",
)
"""What has a meaning somewhere on the way: in DOT, Mermaid, JSON, a URL, a terminal."""

# A lone surrogate is no character: no database of a service keeps one.
characters = st.characters(exclude_categories=("Cs",))
names = st.one_of(st.sampled_from(TROUBLESOME), st.text(characters, min_size=1, max_size=12))
