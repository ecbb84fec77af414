"""Everything that dsi raises on purpose.

    DsiError
    ├── ConfigError            the configuration is wrong; carries all problems at once
    ├── Preflight              this machine, or a host, can't do what is asked; nothing was started
    ├── StateError             the work directory is in use, or what it remembers is unusable
    ├── HostError              about one host; carries its name
    │   ├── HostUnreachable    no connection, or no login
    │   ├── ConnectionLost     there was one, and it broke
    │   ├── PortTaken          somebody else listens there
    │   └── TransferError      a file or folder couldn't be copied
    │       └── SourceMissing  because it isn't there
    ├── NoResults              a test's output has nothing in it that its type's parser knows
    ├── ReportError            a file of the reports couldn't be written: the disk is full, say
    ├── NoDiagnosticData       there is none where it is looked for
    │   └── NoSuchMetric       … or it has no such metric
    ├── CommandFailed          a command's exit status wasn't 0 on one host or more; carries the results
    │   └── CommandTimeout     it was ended, since it took too long
    │       └── NoOutput       … or was silent too long
    ├── HookFailed             a command of a hook failed; the cause is chained to it
    ├── SeveralFailed          different things went wrong on several hosts; carries the errors
    ├── NoEffect               a restart or fault that was asked for failed, or was never begun
    ├── NodeMissing            a test ran on a cluster in which a node was down
    ├── ClusterError           a node didn't do what was asked; carries the last lines of its log
    └── InvalidCommand         a mapping that is no command of ours

A message says what failed, where, with what, and what to do next.
"""

from collections.abc import Sequence

from dsi.masking import masked
from dsi.model import Problem, Result


class DsiError(Exception):
    """The root: whoever catches it has caught all that dsi raises on purpose.

    Its text has no secrets in it: a command that failed may have had one.
    """

    def __str__(self) -> str:
        """Give the message, fit to be shown."""
        return masked(super().__str__())


class ConfigError(DsiError):
    """The configuration is wrong. `problems` has everything that was found, in the order of the files."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Preflight(DsiError):
    """What is asked can't be done here, and nothing was started."""


class StateError(DsiError):
    """The work directory's `.dsi/` is in use by another dsi, or can't be read."""


class ReportError(DsiError):
    """A file of the reports couldn't be written, or read."""


class NoDiagnosticData(DsiError):
    """No file of a server's diagnostic data is where it is looked for, or none that can be read."""


class NoSuchMetric(NoDiagnosticData):
    """A server's diagnostic data has no metric of that name. The message has one that is near."""


class NoResults(DsiError):
    """A test's output has no result in it. The message says what was looked for, and where."""


class HostError(DsiError):
    """Something about one host. The message begins with its name."""

    def __init__(self, host: str, message: str) -> None:
        self.host = host
        self.message = message
        super().__init__(f"{host}: {message}")


class HostUnreachable(HostError):
    """No connection or no login. The message has address, port, user, key and what to try."""


class ConnectionLost(HostError):
    """The connection broke in the middle. Whether the running command took effect is not known."""


class PortTaken(HostError):
    """Somebody else listens there. The message says who, where that can be seen, and what to change."""


class TransferError(HostError):
    """A file or folder couldn't be copied."""


class SourceMissing(TransferError):
    """What should be copied isn't there."""


MAX_MESSAGE_BYTES = 4096


class CommandFailed(DsiError):
    """A command's exit status wasn't 0. `results` has every host's that failed."""

    def __init__(self, results: Sequence[Result]) -> None:
        self.results = tuple(results)
        super().__init__(describe_failures(self.results))


class CommandTimeout(CommandFailed):
    """The command was ended, with all its processes, since it took longer than `limit_s`."""

    what = "took longer than"

    def __init__(self, result: Result, limit_s: float) -> None:
        self.limit_s = limit_s
        super().__init__([result])
        self.args = (f"{result.host}: {self.what} {limit_s:g} s and was ended: {_last_lines(result)}",)


class NoOutput(CommandTimeout):
    """The command was ended since it wrote nothing for `limit_s`."""

    what = "wrote no output for"


class HookFailed(DsiError):
    """A command of a hook failed; the message has the hook, where the command stands, and what it said."""

    def __init__(self, hook: str, path: str, problem: DsiError) -> None:
        super().__init__(f"{hook} ({path}): {problem}")


class SeveralFailed(DsiError):
    """Different things went wrong on several hosts. `errors` has each of them."""

    def __init__(self, errors: Sequence[DsiError]) -> None:
        self.errors = tuple(errors)
        texts = [str(error) for error in self.errors]
        super().__init__(("\n" if any("\n" in text for text in texts) else "; ").join(texts))


class ClusterError(DsiError):
    """A node, or the cluster around it, didn't do what was asked."""

    def __init__(self, node: str, message: str, log_tail: Sequence[str] = ()) -> None:
        self.node = node
        self.log_tail = tuple(log_tail)
        tail = "".join(f"\n    {line}" for line in self.log_tail)
        super().__init__(f"{node}: {message}{tail and chr(10) + '  the last lines of its log:' + tail}")


class NoEffect(DsiError):
    """A restart or fault that a test asked for did not take effect: what the test measured isn't what was asked for."""


class NodeMissing(DsiError):
    """A node has been down since before the test, and wasn't meant to: what was measured isn't what was asked for."""


class InvalidCommand(DsiError):
    """A mapping that is no command.

    The message is what a client of the dsisocket gets; `detail` is the fuller text for files and logs (where there is
    none, the message). `path` is where in the mapping (empty: the whole), `allowed` what could stand there.
    """

    def __init__(self, message: str, *, detail: str = "", path: str = "", allowed: Sequence[str] = ()) -> None:
        self.message = message
        self.detail = detail or message
        self.path = path
        self.allowed = tuple(allowed)
        super().__init__(message)


def raise_together(failures: Sequence[DsiError]) -> None:
    """Raise the failures as one error, what several say alike once; nothing where there are none."""
    failures = list({(type(failure), str(failure)): failure for failure in failures}.values())
    if not failures:
        return
    if len(failures) == 1:
        raise failures[0]
    results = [result for failure in failures if type(failure) is CommandFailed for result in failure.results]
    if len(results) == len(failures):
        raise CommandFailed(results)
    raise SeveralFailed(failures)


def sentence_of(text: str, log_lines: list[str]) -> str:
    """Give what an error says, on one line.

    The last lines of a server's log, which it may have below (indented), are added to `log_lines`, once.
    """
    said: list[str] = []
    tails: dict[str, list[str]] = {}
    for line in filter(None, text.splitlines()):
        if line.startswith("  ") and said:
            tails.setdefault(said[-1], []).append(line.strip())
        else:
            said.append(line)
    for about, (heading, *lines) in tails.items():
        if not set(lines) <= set(log_lines):
            log_lines += [f"{about.partition(': ')[0]}: {heading}", *lines]
    return "; ".join(said)


def describe_failures(results: Sequence[Result]) -> str:
    r"""`HOST: exit status N: LAST LINES OF STDERR` of each, joined by `; `, newlines shown as `\n`; at most 4 KiB.

    Where there is more than fits, each host gets the same share, cut at the front of its lines.
    """
    share = max(MAX_MESSAGE_BYTES // max(len(results), 1) - 2, 0)
    return "; ".join(_fit(result, share) for result in results).encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore")


def _fit(result: Result, size_bytes: int) -> str:
    head = f"{result.host}: exit status {result.exit_status}: "
    room = max(size_bytes - len(head.encode()), 0)
    lines = _last_lines(result).encode()
    return head + lines[max(len(lines) - room, 0) :].decode(errors="ignore")


def _last_lines(result: Result) -> str:
    text = result.stderr.strip("\n") or result.command
    return masked(text).replace("\n", "\\n")  # before anything is cut: half a secret is not recognised
