"""dsi: deploys MongoDB clusters on hosts, tests them from a workload client, and says what came out."""

__version__ = "0.1.0"
