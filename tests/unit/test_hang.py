"""What is said of the processes of a `cmd` that hangs."""

from dsi.stages.hang import read_processes, stacks_script, tree

SAID = "\n".join(
    [
        "20\t1\tS\t1\tdo_wait\t/usr/bin/bash\tbash -c ./load ",
        "22\t21\tS\t12\tfutex_wait_queue\t/usr/lib/jvm/bin/java\tjava -jar a b.jar ",
        "a path with a newline in it",
        "21\t20\tR\t3\t-\t/usr/bin/python3.11\tpython3 load.py ",
    ]
)


def test_processes_are_drawn_as_a_tree_children_below_those_that_started_them() -> None:
    assert [line.split(maxsplit=4)[4] for line in tree(read_processes(SAID)).splitlines()[1:]] == [
        "bash -c ./load",
        "python3 load.py",
        "java -jar a b.jar",
    ]
    columns = [
        line.index(word)
        for line, word in zip(tree(read_processes(SAID)).splitlines()[1:], ("bash", "pyt", "java"), strict=True)
    ]
    assert columns == sorted(set(columns))


def test_that_none_was_found_is_said() -> None:
    assert "no process of cmd was found" in tree(read_processes(""))


def test_stacks_are_asked_of_pythons_and_javas_processes_alone_and_not_of_hundreds() -> None:
    script = stacks_script(read_processes(SAID))
    assert "py-spy dump --pid 21" in script
    assert "jstack 22" in script
    assert "=== 20" not in script
    many = "\n".join(f"{pid}\t1\tS\t1\t-\t/usr/bin/python3\tpython3 w.py" for pid in range(100, 130))
    assert stacks_script(read_processes(many)).count("py-spy dump") == 8
    assert "and 22 more" in stacks_script(read_processes(many))
    assert stacks_script([]) == ""
