"""A reader of pages, for tests."""

from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects tags, text, and prose: no style, tables, drawings, data."""

    VOID = ("meta", "img", "br", "link", "input", "hr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.open: list[str] = []
        self.text = self.prose = ""
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if not {"style", "pre", "code", "dl", "svg"} & set(self.open):
            self.prose += data

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]
