"""`checkout_repos`: git clone and checkout."""

from pathlib import PurePosixPath
from shlex import quote

from pydantic import BaseModel, ConfigDict, Field, RootModel

from dsi.commands.context import Context
from dsi.hosts.base import Host

_CLONE = """\
set -e
export GIT_TERMINAL_PROMPT=0
if [ -e {target}/.git ]; then
  echo {target}" is there already and is left as it is"
elif [ -e {target} ] && [ -n "$(ls -A {target})" ]; then
  echo {target}" exists and is no git checkout: remove it, or choose another target" >&2
  exit 1
else
  fresh={target}.cloning
  rm -rf "$fresh"
  mkdir -p "$(dirname "$fresh")"
  git clone {verbosity} -- {source} "$fresh"
  {checkout}
  if [ -e {target} ]; then rmdir {target}; fi
  mv "$fresh" {target}
fi
"""


class Checkout(BaseModel):
    """One repository. `target` is its folder on the host (default: its name), `branch` what git checkout takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(min_length=1)
    target: str | None = None
    branch: str | None = None
    verbose: bool = False

    def script(self) -> str:
        """Give the shell text that does it; a clone that breaks off leaves no half checkout."""
        target = self.target or PurePosixPath(self.source).name.removesuffix(".git")
        checkout = f'git -C "$fresh" checkout --quiet {quote(self.branch)} --' if self.branch else ":"
        verbosity = "--progress" if self.verbose else "--quiet"
        return _CLONE.format(target=quote(target), source=quote(self.source), checkout=checkout, verbosity=verbosity)


class CheckoutRepos(RootModel[list[Checkout]]):
    """Clones git repositories; an existing checkout is left as it is, any other existing folder is an error."""

    async def run(self, context: Context, host: Host) -> None:
        """Clone on one host."""
        for checkout in self.root:
            await context.shell(host, checkout.script())
