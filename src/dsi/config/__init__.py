"""The configuration: files → one tree with positions → references → typed, frozen models.

tree = config.load(work_directory)
tree.get("mongodb_setup.meta.hosts")     # resolved, plain Python
config.test_control(tree).run[0].cmd     # typed
config.check(tree)                       # everything that is wrong, at once
"""

from dsi.config.check import check, later
from dsi.config.files import dump
from dsi.config.hooks import HOOKS, hooks
from dsi.config.loading import file_names, load
from dsi.config.masked import masked_yaml
from dsi.config.references import STAGES
from dsi.config.resolve import Unknown, problem_of
from dsi.config.tree import Origin, Tree, is_unknown
from dsi.config.typed import analysis, mongodb_setup, once, provisioning, test_control, validated

__all__ = [
    "HOOKS",
    "STAGES",
    "Origin",
    "Tree",
    "Unknown",
    "analysis",
    "check",
    "dump",
    "file_names",
    "hooks",
    "is_unknown",
    "later",
    "load",
    "masked_yaml",
    "mongodb_setup",
    "once",
    "problem_of",
    "provisioning",
    "test_control",
    "validated",
]
