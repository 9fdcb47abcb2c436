"""Plugins and what they answer, each asked in its own try; what was answered before is remembered.

One pluggy broadcast loses every answer when one plugin raises, and pluggy refuses a second plugin of the same name. So
every entry point gets a `pluggy.PluginManager` of its own; what fails is a `Failure`.
"""

from eigenwalk.names.discovery.answers import Memory, ask_all
from eigenwalk.names.discovery.plugin import Answers, Plugin, guard, objection
from eigenwalk.names.discovery.source import CALLED, Failure, Source, entry_points, explain, select

__all__ = [
    "CALLED",
    "Answers",
    "Failure",
    "Memory",
    "Plugin",
    "Source",
    "ask_all",
    "entry_points",
    "explain",
    "guard",
    "objection",
    "select",
]
