"""A page of HTML, read strictly: for tests of reports."""

import html.parser

VOID = {"meta", "img", "br", "source"}
OPTIONAL = {"html", "p", "dt", "dd", "th", "td"}  # elements whose end tag HTML lets one leave out


class Page(html.parser.HTMLParser):
    """Parsed: elements by name, and the text; fails where an element is closed that is not open."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.text, self._open = [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert set(self._open) <= OPTIONAL, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open[-1] != tag and self._open[-1] in OPTIONAL:
            self._open.pop()
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>"
        self._open.pop()

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
