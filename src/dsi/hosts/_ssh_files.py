"""Files to an SSH host and from it, through its shells: `head` and `cat` for a file, `tar` for a folder.

Not SFTP: sshd runs its server through the user's shell, which reads a slow or talkative `~/.bashrc` again, and some
hosts have it switched off. Measured in docs/decisions/0001-asyncssh.md.
"""

import asyncio
import contextlib
import os
import secrets
import shlex
import stat
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from dsi.errors import SourceMissing, TransferError
from dsi.model import Result, StreamName

if TYPE_CHECKING:
    from dsi.hosts.ssh import SshHost

BLOCK_BYTES: Final = 1 << 20
"""How much of a local file is read at once."""

# $t is the target. A fresh file beside it takes its place at the end, so that readers see the old content or the new.
# head reads exactly as much as there is: the shell's own input goes on behind it.
_WRITE: Final = """
umask 022
if [[ $t == */ || -d $t ]]; then t=${{t%/}}/{name}; fi
if [[ -d $t ]]; then echo "$t is a folder" >&2; exit 1; fi
folder=.
if [[ $t == */* ]]; then folder=${{t%/*}}/; fi
if [[ ! -d $folder ]]; then mkdir -p -- "$folder" || exit; fi
fresh=$folder/{fresh}
trap 'rm -f -- "$fresh"' EXIT
(umask 077; exec head -c {size_bytes} >"$fresh") || exit
# On a connection that breaks head only sees an early end.
[[ $(stat -c %s -- "$fresh") == {size_bytes} ]] || {{ echo "not all of it arrived" >&2; exit 1; }}
chmod {mode:o} -- "$fresh" && {{ touch -d @{changed_s} -- "$fresh" || true; }} && mv -f -- "$fresh" "$t" && trap - EXIT
"""

_UNPACK: Final = """
command -v tar >/dev/null || { echo "there is no tar on the host, which dsi needs to copy folders" >&2; exit 1; }
mkdir -p -- "$t" && tar -xpof - -C "$t" && exit
# GNU tar says "Wrote only 5120 of 10240 bytes" of a full disk.
[[ $(df -P -- "$t" | awk 'END { print $4 }') == 0 ]] && echo "No space left on device" >&2
exit 1
"""

# One line that says what it is, then the content.
_READ: Final = """
if [[ -d $s ]]; then
  command -v tar >/dev/null || { echo "there is no tar on the host, which dsi needs to copy folders" >&2; exit 1; }
  echo folder; exec tar -C "$s" -cf - .
elif [[ -e $s ]]; then
  [[ -r $s ]] || { echo "$s can't be read by $(id -un)" >&2; exit 1; }
  stat -L -c 'file %a %Y' -- "$s" || exit
  if [[ $first == 0 && -z $size ]]; then exec cat -- "$s"; fi
  tail -c "+$((first + 1))" -- "$s" | { if [[ $size ]]; then exec head -c "$size"; else exec cat; fi; }
else
  echo missing
fi
"""

CHANGED: Final = "file changed as we read it"
"""GNU tar's warning, exit status 1: a log that is still written to. What was there when it began has been copied."""


async def put(host: "SshHost", source: Path, target: str) -> None:
    """See `Host.put`."""
    if not await asyncio.to_thread(source.exists):
        raise SourceMissing(host.name, f"can't copy {source} to the host: there is no such file or folder here")
    if await asyncio.to_thread(source.is_dir):
        result = await host.feed(_variable("t", target) + _UNPACK, _packed(host.name, source), whole_stdin=True)
    else:
        result = await _put_file(host, source, target)
    if result.exit_status != 0:
        raise TransferError(host.name, f"can't copy {source} to {target}: {_why(result)}")


async def write(host: "SshHost", path: str, content: bytes, mode: int) -> None:
    """See `Host.write_file`."""

    async def once() -> AsyncGenerator[bytes, None]:
        yield content

    if path.endswith("/"):
        raise TransferError(host.name, f"can't write {path}: that names a folder")
    script = _variable("t", path) + '[[ ! -d $t ]] || { echo "$t is a folder" >&2; exit 1; }\n'
    script += _write_script(name="", size_bytes=len(content), mode=mode, changed_s=None)
    result = await host.feed(script, once(), whole_stdin=False)
    if result.exit_status != 0:
        raise TransferError(host.name, f"can't write {path}: {_why(result)}")


async def get(host: "SshHost", source: str, target: Path, first_byte: int, size_bytes: int | None) -> None:
    """See `Host.get`."""
    script = f"{_variable('s', source)}first={first_byte} size={'' if size_bytes is None else size_bytes}\n{_READ}"
    async with _Taker(host.name, source, target) as taker:
        result = await host.run(script, on_output=taker, check=False)
        if result.exit_status != 0 and not (result.exit_status == 1 and CHANGED in result.stderr):
            raise TransferError(host.name, f"can't copy {source} to {target}: {_why(result)}")
        await taker.finish()


def _variable(name: str, value: str) -> str:
    # A path that begins with - is no option.
    return f"{name}={shlex.quote(f'./{value}' if value.startswith('-') else value)}\n"


def _why(result: Result) -> str:
    return result.stderr.strip() or f"exit status {result.exit_status}"


async def _put_file(host: "SshHost", source: Path, target: str) -> Result:
    try:
        with await asyncio.to_thread(source.open, "rb") as file:
            status = os.fstat(file.fileno())
            script = _variable("t", target) + _write_script(
                name=source.name,
                size_bytes=status.st_size,
                mode=stat.S_IMODE(status.st_mode),
                changed_s=int(status.st_mtime),
            )
            blocks = _blocks(host.name, source, file, status.st_size)
            return await host.feed(script, blocks, whole_stdin=False)
    except OSError as error:
        raise TransferError(host.name, f"can't read {source} here: {error.strerror}") from error


def _write_script(*, name: str, size_bytes: int, mode: int, changed_s: int | None) -> str:
    script = _WRITE.format(
        name=shlex.quote(name),
        fresh=f".dsi-{secrets.token_hex(8)}",
        size_bytes=size_bytes,
        mode=mode,
        changed_s=changed_s,
    )
    return script if changed_s is not None else script.replace('{ touch -d @None -- "$fresh" || true; } && ', "")


async def _blocks(host: str, source: Path, file: IO[bytes], size_bytes: int) -> AsyncGenerator[bytes, None]:
    """Give exactly so many bytes of a file."""
    left = size_bytes
    while left:
        block = await asyncio.to_thread(file.read, min(left, BLOCK_BYTES))
        if not block:
            raise TransferError(host, f"{source} was shortened while it was copied to the host")
        left -= len(block)
        yield block


async def _packed(host: str, folder: Path) -> AsyncGenerator[bytes, None]:
    """Give a folder as a tar archive."""
    tar = await asyncio.create_subprocess_exec(
        "tar", "-C", folder, "-cf", "-", ".", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert tar.stdout is not None
    assert tar.stderr is not None
    errors = asyncio.create_task(tar.stderr.read())
    try:
        while block := await tar.stdout.read(BLOCK_BYTES):
            yield block
        said = (await errors).decode(errors="replace")
        if await tar.wait() != 0 and CHANGED not in said:
            raise TransferError(host, f"can't pack {folder} here: {said.strip()}")
    finally:
        await _end(tar)
        errors.cancel()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    # asyncio takes a process for ended when its output was read to the end, which it isn't while nobody reads.
    while process.stdout is not None and await process.stdout.read(BLOCK_BYTES):
        pass
    await process.wait()


class _Taker:
    """Takes what `_READ` sends: an `on_output` that makes a file or a folder of it."""

    def __init__(self, host: str, source: str, target: Path) -> None:
        self._host = host
        self._source = source
        self._target = target
        self._head = b""
        self._sink: _FileSink | _FolderSink | None = None

    async def __aenter__(self) -> "_Taker":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sink is not None:
            await self._sink.close()

    async def __call__(self, stream: StreamName, block: bytes) -> None:
        if stream == "stderr":
            return
        try:
            await self._take(block)
        except OSError as error:
            raise TransferError(
                self._host, f"can't copy {self._source} to {self._target}: {error.strerror or error} (on this machine)"
            ) from error

    async def _take(self, block: bytes) -> None:
        if self._sink is None:
            head, newline, block = (self._head + block).partition(b"\n")
            self._head = head
            if not newline:
                return
            self._sink = await self._open(head.decode().split())
        if block:
            await self._sink.write(block)

    async def _open(self, head: list[str]) -> "_FileSink | _FolderSink":
        match head:
            case ["folder"]:
                return await _FolderSink.open(self._target)
            case ["file", mode, changed_s]:
                target = self._target / Path(self._source).name if self._target.is_dir() else self._target
                return await asyncio.to_thread(_FileSink, target, int(mode, 8), int(changed_s))
        raise SourceMissing(self._host, f"can't copy {self._source}: there is no such file or folder on the host")

    async def finish(self) -> None:
        """Put what has come in its place."""
        assert self._sink is not None
        try:
            await self._sink.finish()
        except OSError as error:
            raise TransferError(
                self._host, f"can't copy {self._source} to {self._target}: {error.strerror or error} (on this machine)"
            ) from error


class _FileSink:
    def __init__(self, target: Path, mode: int, changed_s: int) -> None:
        self._target = target
        self._mode = mode
        self._changed_s = changed_s
        target.parent.mkdir(parents=True, exist_ok=True)
        self._fresh = target.with_name(f".dsi-{secrets.token_hex(8)}")
        self._file = os.fdopen(os.open(self._fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._waiting = bytearray()

    async def write(self, block: bytes) -> None:
        self._waiting += block
        if len(self._waiting) >= BLOCK_BYTES:
            await self._flush()

    async def _flush(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        await asyncio.to_thread(self._file.write, waiting)

    async def finish(self) -> None:
        await self._flush()
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        self._file.flush()
        os.fchmod(self._file.fileno(), self._mode)
        os.utime(self._file.fileno(), (self._changed_s, self._changed_s))
        self._fresh.replace(self._target)

    async def close(self) -> None:
        with contextlib.suppress(OSError):  # what couldn't be written has been told
            self._file.close()
        self._fresh.unlink(missing_ok=True)


class _FolderSink:
    def __init__(self, tar: asyncio.subprocess.Process) -> None:
        assert tar.stdin is not None
        assert tar.stderr is not None
        self._tar = tar
        self._stdin = tar.stdin
        self._errors = asyncio.create_task(tar.stderr.read())

    @classmethod
    async def open(cls, target: Path) -> "_FolderSink":
        await asyncio.to_thread(target.mkdir, parents=True, exist_ok=True)
        tar = await asyncio.create_subprocess_exec(
            "tar", "-xpof", "-", "-C", target, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        return cls(tar)

    async def write(self, block: bytes) -> None:
        try:
            self._stdin.write(block)
            await self._stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise OSError((await self._errors).decode(errors="replace").strip()) from None

    async def finish(self) -> None:
        self._stdin.close()
        said = (await self._errors).decode(errors="replace")
        if await self._tar.wait() != 0:
            raise OSError(said.strip())

    async def close(self) -> None:
        await _end(self._tar)
        self._errors.cancel()
