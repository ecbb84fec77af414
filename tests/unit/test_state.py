import multiprocessing
import stat
from pathlib import Path

import pytest

from dsi.errors import StateError
from dsi.state import State


def test_what_was_written_is_read_again_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert state.read("nodes") is None
    state.write("nodes", {"a": [1, None]})
    assert State(tmp_path).read("nodes") == {"a": [1, None]}
    assert stat.S_IMODE(state.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((state.folder / "nodes.json").stat().st_mode) == 0o600
    state.forget("nodes")
    state.forget("nodes")
    assert state.read("nodes") is None


def test_a_broken_file_says_which_and_what_to_do(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.write("nodes", 1)
    (state.folder / "nodes.json").write_text("{")
    with pytest.raises(StateError, match=r"nodes\.json is no JSON any more.*dsi teardown"):
        state.read("nodes")


def _try_lock(folder: Path, told: "multiprocessing.Queue[str]") -> None:
    try:
        with State(folder).lock():
            told.put("")
    except StateError as problem:
        told.put(str(problem))


def _ask_another_process(folder: Path) -> str:
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[str] = context.Queue()
    process = context.Process(target=_try_lock, args=(folder, told))
    process.start()
    answer = told.get(timeout=30)
    process.join()
    return answer


def test_only_one_dsi_at_a_time_works_in_a_work_directory(tmp_path: Path) -> None:
    with State(tmp_path).lock():
        assert "is working in" in _ask_another_process(tmp_path)
    assert _ask_another_process(tmp_path) == ""


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    state = State(tmp_path)
    (state.make_folder() / ".nodes.json.new").mkdir()  # as good as a full disk
    with pytest.raises(StateError, match=r"nodes\.json can't be written: Is a directory"):
        state.write("nodes", 1)


def test_whether_a_dsi_is_at_work_can_be_asked_without_disturbing_it(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert not state.is_locked()
    with state.lock():
        assert State(tmp_path).is_locked()
        assert State(tmp_path).is_locked()
    assert not state.is_locked()
