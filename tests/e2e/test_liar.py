"""The relay lies (M1, M3, M4): the real relay over a database that its operator changed, and the real
clients, who notice. What is not noticed at once is noticed at the first message across it."""

import contextlib
import hashlib
import json
import sqlite3

import pytest

from stage import body, head, heard, scene, stage # both fixtures


def test_an_honest_relay_is_believed(stage):
    status, texts, told = heard(stage.carol)
    assert status == 0 and texts == ["one", "two"], told


def edited(s, one, two):
    return [("update messages set body = ? where line = ?", body("forged"), one["line"])]


def dropped(s, one, two):
    return [("delete from messages where line = ?", one["line"]),
            ("update messages set number = ? where line = ?", one["number"], two["line"])]


def withheld(s, one, two):
    """Up to a number whose tree stands on no entry that is gone: a relay that finds such a hole does not
    start, and one that is asked to prove something across it stops."""
    return [("delete from messages where line = ?", one["line"]),
            ("update messages set number = 8 where line = ?", two["line"])]


def reordered(s, one, two):
    return [("update messages set number = 1000 where line = ?", one["line"]),
            ("update messages set number = ? where line = ?", one["number"], two["line"]),
            ("update messages set number = ? where number = 1000", two["number"])]


def another_line(s, one, two):
    forged = one["line"].replace(one["fp"].hex(), two["fp"].hex())
    return [("update messages set line = ? where line = ?", forged, one["line"])]


def another_signature(s, one, two):
    return [("update messages set sig = ? where line = ?", two["sig"], one["line"])]


def another_time(s, one, two):
    return [("update messages set time = time + 86400000 where line = ?", one["line"])]


def invented(s, one, two):
    fields = one["line"].split("|")
    fields[3], fields[6] = str(one["seq"] + 1), hashlib.sha256(one["line"].encode()).hexdigest()
    content = body("forged")
    fields[7] = hashlib.sha256(content).hexdigest()
    fields[8] = hashlib.sha256(b"\x02" + content).hexdigest()
    line, time = "|".join(fields), two["time"] + 1
    return [("insert into messages select room, ?, ?, account, fp, seq + 1, ?, ?, sig, ?, null, seats, nodes "
             "from messages where line = ?", two["number"] + 1, time,
             head(two["head"], line, time), line, content, one["line"])]


def repeated(s, one, two):
    """The same line again, as the next number: its author's count says that it was there."""
    time = two["time"] + 1
    return [("insert into messages select room, ?, ?, account, ?, 7, ?, line, sig, body, why, seats, nodes "
             "from messages where line = ?", two["number"] + 1, time, two["fp"],
             head(two["head"], one["line"], time), one["line"])]


def elsewhere(s, one, two):
    """Said in one room, delivered in another."""
    last = max((r for r in s.rows() if r["room"] == s.room("side")), key=lambda r: r["number"])
    return [("insert into messages select ?, ?, time, account, ?, 7, ?, line, sig, body, why, seats, nodes "
             "from messages where line = ?", last["room"], last["number"] + 1, last["fp"],
             head(last["head"], one["line"], one["time"]), one["line"])]


LIES = [edited, dropped, reordered, another_line, another_signature, another_time,
        invented, repeated, elsewhere]


def two_messages(s):
    return [next(r for r in s.rows() if r["body"] and t in r["body"]) for t in (b'"one"', b'"two"')]


@pytest.mark.parametrize("lie", LIES, ids=lambda f: f.__name__)
def test_a_lie_is_refused(stage, lie):
    """No reader is shown it; what he is shown instead says that something is wrong."""
    stage.lie(*lie(stage, *two_messages(stage)))
    status, texts, told = heard(stage.carol)
    assert "forged" not in texts and texts.count("one") <= 1, told
    assert "refused" in told and status == 76, (status, told)


def test_a_gap_is_no_history(stage):
    stage.lie(*withheld(stage, *two_messages(stage)))
    told = heard(stage.carol)[2]
    assert "withholds message" in told, told
    stage.relay.kill()
    stage.relay.run("--listen", f"127.0.0.1:{stage.relay.port}")


def test_an_author_is_who_signed(stage):
    """What the tables say of it is nothing."""
    one, two = two_messages(stage)
    stage.lie(("update messages set fp = ?, account = ?, seq = 9 where line = ?", two["fp"],
               two["account"], one["line"]))
    told = heard(stage.carol)[2]
    said = next(m for m in map(json.loads, told.splitlines()) if m.get("text") == "one")
    assert said["author"] == "alice" and said["sig"] == "good"


def test_a_message_read_before_is_no_news(stage):
    """Replayed after the reader reconnected and the relay was started anew."""
    assert heard(stage.carol)[1] == ["one", "two"]
    stage.lie(*repeated(stage, *two_messages(stage)))
    status, texts, told = heard(stage.carol)
    assert status == 76 and texts == [] and "shown before" in told, (status, texts, told)


def test_a_fork_is_seen_at_the_first_message_across_it(stage):
    """Two histories for two readers: bob answers in the one, carol is shown the other. The relay's
    numbers and heads are right in both; what bob had seen is not what carol saw."""
    stage.alice("send", "ops", "buy")
    stage.bob("recv")
    stage.bob("send", "ops", "agreed")
    across = next(r for r in stage.rows() if r["body"] and b'"agreed"' in r["body"])
    stage.back(stage.honest)
    stage.carol("recv")
    stage.carol("send", "ops", "sell")
    last = max((r for r in stage.rows() if r["room"] == across["room"]),
               key=lambda r: r["number"])
    columns = across | {"number": last["number"] + 1, "time": last["time"] + 1}
    columns["head"] = head(last["head"], across["line"], columns["time"])
    assert columns["number"] == across["number"]
    stage.lie((f"insert into messages ({','.join(columns)}) values "
               f"({','.join('?' * len(columns))})", *columns.values()))
    status, texts, told = heard(stage.carol)
    assert status == 76 and "agreed" not in texts and "refused" in told, (status, told)
    assert "seen" in told or "history" in told, told


# --- who is a member ---


def account(s, name):
    with contextlib.closing(sqlite3.connect(s.path)) as db:
        return db.execute("select id from users where name = ?", (name,)).fetchone()[0]


def seated(member):
    """The members of the cellar as a person is shown them: name and what bears it out."""
    p = member.run("room", "members", "cellar", "--json")
    rows = [json.loads(line) for line in p.stdout.splitlines()]
    return {r["name"]: r["proof"] for r in rows if "proof" in r}, p.stdout + p.stderr


def test_an_honest_list_is_borne_out(stage):
    who, told = seated(stage.alice)
    assert who == {"alice": "join signed", "bob": "join signed"} and "relay" not in told, told


def test_a_seat_that_nobody_signed(stage):
    """carol is let into a private room by the operator alone."""
    stage.lie(("insert into members select room, ?, state, role, from_number, delivered, since, "
               "invited, joined from members where account = ? and room = ?",
               account(stage, "carol"), account(stage, "bob"), stage.room("cellar")))
    for member in stage.alice, stage.bob:
        who, told = seated(member)
        assert who["bob"] == "join signed" != who["carol"], (who, told)
        assert "the relay alone says that carol is a member" in told, told


def test_nobody_signs_a_seat_that_he_did_not_ask_for(stage):
    """The operator admits carol to a private room: her client would have signed that she is in it."""
    stage.lie(("insert into members select room, ?, 3, role, from_number, delivered, since, invited, "
               "joined from members where account = ? and room = ?", account(stage, "carol"),
               account(stage, "bob"), stage.room("cellar")))
    before = len(stage.rows())
    status, texts, told = heard(stage.carol)
    assert status == 0 and texts == ["one", "two"], told
    assert len(stage.rows()) == before
    stage.carol("room", "join", "cellar")  # she asked now, and signs; nobody has invited her
    assert len(stage.rows()) == before + 1


def test_a_room_keeps_its_name(stage):
    stage.carol("recv")
    stage.lie(("update rooms set name = 'opera' where name = 'ops'",))
    told = heard(stage.carol)[2]
    assert "ops: the relay calls it opera now" in told, told


def test_a_private_room_is_not_called_public(stage):
    """Which would make a member by the relay's word one like any other."""
    dora = stage.relay.member("dora")
    dora("room", "create", "attic", "--private")
    dora("send", "attic", "here")
    stage.lie(("update rooms set kind = (select kind from rooms where name = 'ops') "
               "where name = 'attic'",))
    told = heard(dora)[2]
    assert "calls a public room what was a private room" in told, told


def test_a_member_who_is_not_listed(stage):
    stage.lie(("delete from members where account = ? and room = ?", account(stage, "bob"),
               stage.room("cellar")))
    who, told = seated(stage.alice)
    assert "does not list bob, who signed a join and no leave" in told, (who, told)


def without_the_leave(s, room, who):
    """The operator takes the last entry, which is that leave, out and its author in again."""
    return [("delete from messages where room = ? and number = (select max(number) from messages "
             "where room = ?)", room, room),
            ("update members set state = (select max(state) from members as m where m.room = ? and "
             "m.account = ?) where room = ? and account = ?", room, account(s, "alice"), room,
             account(s, who))]


def test_a_withheld_leave_is_seen_by_who_left(stage):
    """To the others it is silence; who signed it knows that it was there."""
    stage.bob("room", "leave", "cellar")
    assert any(r["body"] and b'"leave"' in r["body"] for r in stage.rows())
    stage.lie(*without_the_leave(stage, stage.room("cellar"), "bob"))
    assert seated(stage.alice)[0] == {"alice": "join signed", "bob": "join signed"}  # as threats.md says
    told = heard(stage.bob)[2]
    assert "the relay has lost" in told and "our own messages in cellar" in told, told


def test_a_withheld_leave_is_seen_by_who_read_it(stage):
    stage.bob("room", "leave", "cellar")
    stage.alice("recv")
    stage.lie(*without_the_leave(stage, stage.room("cellar"), "bob"))
    status, _, told = heard(stage.alice)
    assert "the relay has lost messages" in told, (status, told)


def test_a_leave_left_out_is_seen_at_the_next_message(stage):
    """carol spoke after she had read that bob went; alice is shown her words and not his leave."""
    stage.bob("room", "leave", "ops")
    stage.carol("recv")
    stage.carol("send", "ops", "he is gone")
    gone, said = [r for r in stage.rows() if r["room"] == stage.room("ops")][-2:]
    before = next(r for r in stage.rows()
                  if r["room"] == gone["room"] and r["number"] == gone["number"] - 1)
    stage.lie(("delete from messages where room = ? and number = ?", gone["room"], gone["number"]),
              ("update messages set number = ?, head = ? where room = ? and number = ?",
               gone["number"], head(before["head"], said["line"], said["time"]), said["room"],
               said["number"]))
    status, texts, told = heard(stage.alice)
    assert status == 76 and "he is gone" not in texts and "refused" in told, (status, told)
