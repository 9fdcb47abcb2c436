"""Plugins and what they answer, each obtained in its own try; what was answered before is remembered.

One pluggy broadcast loses every answer when one plugin raises, and pluggy refuses a second plugin of the same name. So
every entry point gets a `pluggy.PluginManager` of its own; what fails is a `Failure`.
"""

from eigenwalk.names.discovery.answers import answered
from eigenwalk.names.discovery.plugin import Answers, Plugin, objection
from eigenwalk.names.discovery.source import CALLED, Failure, Source, chosen, entry_points, explained

__all__ = [
    "CALLED",
    "Answers",
    "Failure",
    "Plugin",
    "Source",
    "answered",
    "chosen",
    "entry_points",
    "explained",
    "objection",
]
