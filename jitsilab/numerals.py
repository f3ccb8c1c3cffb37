"""Numbers as programs write them."""


def whole(text: object, digits: int = 18) -> int | None:
    """A number of ASCII digits alone; None for all else, also for one of more digits than can be meant.

    `str.isdigit` is true of superscripts, of which `int` makes nothing, and `int` refuses thousands of digits.

    >>> whole("443"), whole("²"), whole("-1"), whole(""), whole("9" * 5000)
    (443, None, None, None, None)
    """
    text = str(text)
    return int(text) if len(text) <= digits and text.isascii() and text.isdigit() else None
