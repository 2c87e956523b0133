"""The icons: drawn on 24 by 24, by lines alone. A word stands beside each, or in its label."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ICONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "check": "M5 12.5l4.7 4.7L19 7.5",
        "play": "M8.5 6v12l9.5-6z",
        "pause": "M9 6v12M15 6v12",
        "cross": "M7 7l10 10M17 7L7 17",
        "half": "M12 5a7 7 0 1 0 0 14a7 7 0 1 0 0-14M12 5v14M14.5 6v12M17 8v8",
        "stop": "M7 7h10v10H7z",
        "back": "M9 5.5L4.8 9.8 9 14M4.8 9.8H14a4.8 4.8 0 0 1 0 9.6h-3",
        "warning": "M12 4.8L3.8 19h16.4zM12 10.2v4M12 16.6v.3",
        "circle": "M12 6a6 6 0 1 0 0 12a6 6 0 1 0 0-12",
        "clock": "M12 4.5a7.5 7.5 0 1 0 0 15a7.5 7.5 0 1 0 0-15M12 8v4.3l2.8 1.8",
        "equal": "M6 9.5h12M6 14.5h12",
        "dash": "M6.5 12h11",
        "up": "M12 18.5v-12M7 11.3L12 6.3l5 5",
        "plus": "M12 5.5v13M5.5 12h13",
        "block": "M12 4.8a7.2 7.2 0 1 0 0 14.4a7.2 7.2 0 1 0 0-14.4M7 7l10 10",
        "arrow": "M4.5 12h14M13.5 7l5 5-5 5",
        "down": "M12 4.5v10M7.5 10.5l4.5 4.5 4.5-4.5M5.5 19.5h13",
        "search": "M10.5 4.5a6 6 0 1 0 0 12a6 6 0 1 0 0-12M15 15l4.8 4.8",
        "contrast": "M12 4.5a7.5 7.5 0 1 0 0 15a7.5 7.5 0 1 0 0-15M12 4.5v15M15 6v12M17.5 8v8",
        "note": "M6 4.5h9l3.5 3.5v11.5H6zM9 11h6.5M9 15h6.5",
        "person": "M12 4.8a3.6 3.6 0 1 0 0 7.2a3.6 3.6 0 1 0 0-7.2M5 19.5a7 7 0 0 1 14 0",
        "refresh": "M18.5 8.5A7.2 7.2 0 1 0 19.2 13M18.8 4.5v4.3h-4.3",
        "cloud": "M7.5 18.5a4 4 0 0 1-.4-8A5.5 5.5 0 0 1 17.6 10a4.3 4.3 0 0 1-.6 8.5z",
    }
)
"""The path of each, in SVG's language."""
