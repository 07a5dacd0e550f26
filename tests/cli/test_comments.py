from mlit.cli.comments import key_comments, title

TEXT = """\
# @package _global_
# What it is.
a: 1  # first
group:  # second
  b: "#no"  # third
  c: 2
  deeper:
    d: [1, 2]  # fourth # and more
e: x#y
"""


def test_comments_by_dotted_key(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(TEXT)
    assert title(file) == "What it is."
    assert key_comments(file) == {
        "a": "first",
        "group": "second",
        "group.b": "third",
        "group.deeper.d": "fourth # and more",
    }
    assert key_comments(file, "top")["top.group.b"] == "third"


def test_no_title(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("a: 1\n")
    assert title(file) == ""
