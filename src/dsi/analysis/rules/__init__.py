"""What is looked for: one rule a line. To add one, write it beside its like and name it here.

`--rules`, `analysis.ignore` and reports know rules by these names.
"""

from typing import Final

from dsi.analysis.rules import ftdc, logs, run
from dsi.analysis.rules.rule import FtdcRule, LogRule, Registry, Rule, RunRule

RULES: Final[Registry] = {
    "test_failed": run.TEST_FAILED,
    "run_unfinished": run.RUN_UNFINISHED,
    "stage_failed": run.STAGE_FAILED,
    "task_error": run.TASK_ERROR,
    "node_down": run.NODE_DOWN,
    "restart_failed": run.RESTART_FAILED,
    "core_file": run.CORE_FILE,
    # Of a line's rules the first has it.
    "disk_full": logs.DISK_FULL,
    "data_corruption": logs.DATA_CORRUPTION,
    "log_fatal": logs.LOG_FATAL,
    "rollback": logs.ROLLBACK,
    "too_stale": logs.TOO_STALE,
    "unclean_shutdown": logs.UNCLEAN_SHUTDOWN,
    "stepdown": logs.STEPDOWN,
    "election": logs.ELECTION,
    "member_unreachable": logs.MEMBER_UNREACHABLE,
    "reconfig": logs.RECONFIG,
    "member_removed": logs.MEMBER_REMOVED,
    "connection_reset": logs.CONNECTION_RESET,
    "too_many_connections": logs.TOO_MANY_CONNECTIONS,
    "flow_control": logs.FLOW_CONTROL,
    "log_error": logs.LOG_ERROR,
    "member_state": ftdc.MEMBER_STATE,
    "replica_lag": ftdc.REPLICA_LAG,
    "cache_over_limit": ftdc.CACHE_OVER_LIMIT,
    "cache_pressure": ftdc.CACHE_PRESSURE,
    "slow_checkpoint": ftdc.SLOW_CHECKPOINT,
    "oplog_window": ftdc.OPLOG_WINDOW,
    "connections": ftdc.CONNECTIONS,
    "server_stall": ftdc.SERVER_STALL,
    "ftdc_damaged": run.FTDC_DAMAGED,
    "log_damaged": run.LOG_DAMAGED,
    "post_task_failed": run.POST_TASK_FAILED,
    "run_warning": run.RUN_WARNING,
    "timeline_damaged": run.TIMELINE_DAMAGED,
    "timeline_version": run.TIMELINE_VERSION,
    "clock_jump": run.CLOCK_JUMP,
}

__all__ = ["RULES", "FtdcRule", "LogRule", "Registry", "Rule", "RunRule"]
