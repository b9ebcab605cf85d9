"""Which worker runs which file: those that share servers share a worker, so that most workers
never start them, and what takes long comes first, so that no worker ends long after the others."""

from __future__ import annotations

import re
from functools import cache

from paths import ROOT, TESTS
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

# The fixtures of servers that few files need, by what stands in those files. Each set costs a
# hundredth of a processor for as long as it lives, three members five times that.
_SERVERS = {
    "two clusters": re.compile(r"\bother_cluster\b"),
    "three members": re.compile(r"\b(shared_replset|replset|Place)\b"),
    "access control": re.compile(r"\bauth_mongod\b"),
}
_PROGRAMS = re.compile(r"\b(subprocess|running_programs|running_servers)\b")


class ByServers(LoadFileScheduling):
    """Files stay whole; a worker takes those for which it has the servers already."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(self._best_for(node), last=False)
        super()._assign_work_unit(node)

    def _best_for(self, node: WorkerController) -> str:
        begun: set[str] = set().union(*map(self._servers_at, self.nodes))
        elsewhere = begun - self._servers_at(node)

        def rank(file: str) -> tuple[int, bool]:
            needed = servers_of(file)
            place = 1 if needed is None else 2 if needed in elsewhere else 0
            return place, not starts_programs(file)

        return min(self.workqueue, key=rank)

    def _servers_at(self, node: WorkerController) -> set[str]:
        return {needed for file in self.assigned_work[node] if (needed := servers_of(file))}


@cache
def servers_of(file: str) -> str | None:
    """The servers that ``file`` asks for besides the one that every worker has."""
    text = _text_of(file)
    return next((name for name, fixture in _SERVERS.items() if fixture.search(text)), None)


@cache
def starts_programs(file: str) -> bool:
    return _PROGRAMS.search(_text_of(file)) is not None


@cache
def _text_of(file: str) -> str:
    """The file, and what its own folder's tests share."""
    path = ROOT / file
    shared = path.parent / "conftest.py"
    texts = [path] if shared == TESTS / "conftest.py" else [path, shared]
    return "\n".join(each.read_text() for each in texts if each.is_file())
