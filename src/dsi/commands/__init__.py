"""Commands: what hooks and the dsisocket can ask for."""

from dsi.commands.allowed import Allowed, check_words, known_words
from dsi.commands.context import Clusters, Context
from dsi.commands.disturbing import disturbs
from dsi.commands.listening import Lease, Listener, Nobody
from dsi.commands.parse import COMMANDS, Command, parse
from dsi.commands.targets import GROUPS, LOCALHOST, Scope, known_targets
from dsi.commands.verbs import HOST_VERBS

__all__ = [
    "COMMANDS",
    "GROUPS",
    "HOST_VERBS",
    "LOCALHOST",
    "Allowed",
    "Clusters",
    "Command",
    "Context",
    "Lease",
    "Listener",
    "Nobody",
    "Scope",
    "check_words",
    "disturbs",
    "known_targets",
    "known_words",
    "parse",
]
