"""Files that grow by whole lines: nothing torn is kept, and no part of a line counts as written."""

import os
import threading
from contextlib import contextmanager

import pytest

from specframe._files import Lines, whole_lines, write_atomically

resource = pytest.importorskip("resource")  # Windows has none


@contextmanager
def small_disk():
    """Let no file grow beyond 100 bytes: what does not fit is written in part, then refused.

    For no longer than it takes, since what pytest prints may go into a file too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def grown(path, kept, *appended):
    lines = Lines(path, kept)
    for each in appended:
        lines.append(each)
    lines.sync()
    lines.close()
    return path.read_bytes()


def test_a_file_that_is_not_there_has_no_lines(tmp_path):
    assert whole_lines(tmp_path / "none") == []


@pytest.mark.parametrize("torn", [b"", b'{"c', b"\xc3", b"a\rb"])
def test_a_torn_last_line_is_dropped_on_opening(tmp_path, torn):
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\r\n" + torn)
    lines = whole_lines(path)
    assert lines == [b"one", b"two\r"]
    assert grown(path, lines, ["three", "four"]) == b"one\ntwo\r\nthree\nfour\n"


def test_lines_that_are_not_kept_are_dropped(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\nthree\n")
    assert grown(path, whole_lines(path)[:1], ["2"]) == b"one\n2\n"
    assert grown(path, [], ["\u00e9"]) == "\u00e9\n".encode()


def test_lines_that_do_not_fit_are_refused_and_leave_nothing(tmp_path):
    path = tmp_path / "lines"
    lines = Lines(path)
    lines.append(["a" * 60])
    with small_disk(), pytest.raises(OSError, match="File too large"):
        lines.append(["b" * 20, "c" * 40])
    assert path.read_bytes() == b"a" * 60 + b"\n"
    lines.append(["d"])
    lines.close()
    assert whole_lines(path) == [b"a" * 60, b"d"]


def test_lines_may_go_into_a_pipe(tmp_path):
    path, read = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    lines = Lines(path)
    lines.append(["one"])
    lines.close()
    reader.join()
    assert read == [b"one\n"]


def test_a_file_that_does_not_fit_leaves_the_old_one_alone(tmp_path):
    path = tmp_path / "page"
    write_atomically(path, "old")
    with small_disk(), pytest.raises(OSError, match="File too large"):
        write_atomically(path, "new" * 100)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
