"""What tests of the report pages share."""

from html.parser import HTMLParser


class _OpenTags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open_tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "img"):
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag


def assert_well_formed(page: str) -> None:
    """Every tag of a page is closed, in the order in which they were opened."""
    parser = _OpenTags()
    parser.feed(page)
    assert parser.open_tags == []
