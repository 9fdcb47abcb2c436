"""The catalogue."""


def written() -> str:
    return ""
