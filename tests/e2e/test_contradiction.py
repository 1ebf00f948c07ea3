"""A member who holds a checkpoint finds out when the relay signs another history later (M7, M10): it is
said, the program ends with 76, and one file proves it to both judges."""

import glob
import json
import os

import pytest

from evidence import both
from stage import heard, scene, stage # both fixtures


def rows(s, *texts):
    return [next(r for r in s.rows() if r["body"] and f'"{t}"'.encode() in r["body"]) for t in texts]


def rewrite(s):
    one, two = rows(s, "one", "two")
    s.lie(("update messages set line = ? where line = ?",
           one["line"].replace(one["fp"].hex(), two["fp"].hex()), one["line"]))


def drop(s):
    one, two = rows(s, "one", "two")
    s.lie(("delete from messages where line = ?", one["line"]),
          ("update messages set number = ? where line = ?", one["number"], two["line"]))


def reorder(s):
    one, two = rows(s, "one", "two")
    s.lie(("update messages set number = 1000 where line = ?", one["line"]),
          ("update messages set number = ? where line = ?", one["number"], two["line"]),
          ("update messages set number = ? where number = 1000", two["number"]))


def back_date(s):
    one, = rows(s, "one")
    s.lie(("update messages set time = time - 1 where line = ?", one["line"]))


def fork(s):
    """Bob has read one continuation, and is shown the other."""
    s.alice("send", "ops", "buy")
    s.bob("recv")
    s.back(s.honest)
    s.carol("recv")
    s.carol("send", "ops", "sell")


def proof_of(member):
    me = json.loads(member("me", "--json"))
    return me, glob.glob(f"{me['directory']}/contradictions/*")


@pytest.mark.parametrize("lie", [rewrite, drop, reorder, back_date, fork], ids=lambda f: f.__name__)
def test_two_histories(stage, tmp_path, lie):
    status, _, told = heard(stage.bob)
    assert status == 0 and proof_of(stage.bob)[1] == [], told
    lie(stage)
    status, texts, told = heard(stage.bob)
    assert status == 76 and texts == [], (status, told)
    me, (path,) = proof_of(stage.bob)
    assert f"what proves it to others is in {path}" in told
    assert os.path.basename(path) == f"contradiction_{stage.room('ops').hex()}.tar"
    judged = tmp_path / "judged"
    judged.mkdir()
    with open(path, "rb") as f:
        proof = f.read()
    assert both(judged, proof, os.path.join(me["directory"], "root.der")) == 0
    heard(stage.bob)  # found again: the first proof stays
    with open(path, "rb") as f:
        assert f.read() == proof


def test_an_honest_relay_that_was_started_anew(stage):
    for _ in range(2):
        stage.alice("send", "ops", "more")
        status, texts, told = heard(stage.bob)
        assert status == 0 and "more" in texts, told
        stage.relay.stop()
        stage.relay.run("--listen", f"127.0.0.1:{stage.relay.port}")
    assert heard(stage.bob)[0] == 0 and proof_of(stage.bob)[1] == []


def test_nothing_kept_is_no_proof(stage):
    """Who comes after the lie finds it in what bob had seen; but of the relay he has one signature."""
    back_date(stage)
    status, _, told = heard(stage.carol)
    assert status == 76 and "saw another history" in told, told
    assert proof_of(stage.carol)[1] == []
