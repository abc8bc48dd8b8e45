"""Parses the CSV and calendar formats with independent libraries."""

import csv
import io
import json
import os
from datetime import datetime, timezone
from pathlib import Path

import icalendar
import pytest

PAGES = Path(os.environ["REPORT_PAGES"])
SETS = ["usual", "changed", "hostile", "empty", "failed", "many"]
COLUMNS = "profile,state,threshold,expires_at,expires_in_s,file_name,kind,size_bytes,id,url,posts_at_risk".split(",")


def result(name):
    return json.loads((PAGES / f"{name}.result.json").read_text())


def rows(name):
    text = (PAGES / f"{name}.csv").read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def events(name):
    calendar = icalendar.Calendar.from_ical((PAGES / f"{name}.ics").read_bytes())
    assert calendar.errors == []
    found = calendar.walk("VEVENT")
    assert all(event.errors == [] for event in found)
    return found


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@pytest.mark.parametrize("name", SETS)
def test_csv_contains_every_file_once(name):
    found, items = rows(name), result(name)["items"]
    assert len(found) == len(items)
    for row, item in zip(found, items):
        assert list(row) == COLUMNS
        assert row["state"] == item["state"]
        assert row["threshold"] == (item["threshold"] or "")
        assert row["expires_at"] == (item["expires_at"] or "")
        assert row["expires_in_s"] == ("" if item["expires_in_s"] is None else str(item["expires_in_s"]))
        assert row["size_bytes"] == str(item["size_bytes"])
        if name != "hostile":
            for column in ["profile", "file_name", "kind", "id", "url"]:
                assert row[column] == item[column]
            assert row["posts_at_risk"].split() == item["posts_at_risk"]


def test_csv_has_a_byte_order_mark_and_crlf_line_ends():
    data = (PAGES / "usual.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfprofile,")
    assert data.count(b"\n") == data.count(b"\r\n") and data.endswith(b"\r\n")


def test_no_csv_cell_is_a_formula_or_contains_a_line_break():
    for row in rows("hostile"):
        for column, cell in row.items():
            if column != "expires_in_s":
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell
            assert not set(cell) & set("\r\n\t\x00\x07\u202e\u2066"), cell


@pytest.mark.parametrize("name", SETS)
def test_calendar_has_an_entry_for_each_expiry_and_post(name):
    whole = result(name)
    dated = [item for item in whole["items"] if item["expires_at"]]
    found = events(name)
    assert len(found) == len(dated) + len(whole["posts_at_risk"])
    uids = [str(event["UID"]) for event in found]
    assert len(set(uids)) == len(uids)
    assert all("DTSTAMP" in event and "SUMMARY" in event for event in found)
    expected = sorted(
        [moment(item["expires_at"]) for item in dated]
        + [moment(post["scheduled_at"]) for post in whole["posts_at_risk"] if post["scheduled_at"]]
    )
    starts = [event["DTSTART"].dt for event in found]
    assert sorted(start for start in starts if isinstance(start, datetime)) == expected
    assert all(start.tzinfo == timezone.utc or start.utcoffset().total_seconds() == 0 for start in starts if isinstance(start, datetime))


def test_each_entry_has_the_right_name_and_time():
    whole = result("usual")
    wanted = sorted((item["file_name"], moment(item["expires_at"])) for item in whole["items"] if item["expires_at"])
    posts = {moment(post["scheduled_at"]): post["text"].split("\n")[0] for post in whole["posts_at_risk"]}
    files = []
    for event in events("usual"):
        kind, name = str(event["SUMMARY"]).split(": ", 1)
        start = event["DTSTART"].dt
        if kind == "Post will fail":
            assert posts.pop(start)[:30] in name
        else:
            files.append((name, start))
    assert not posts
    # The name of the profile follows that of the file.
    for (name, start), (file_name, expires_at) in zip(sorted(files), wanted, strict=True):
        assert name.startswith(file_name) and start == expires_at


def test_a_changed_expiry_keeps_the_entry_id():
    before = {str(event["UID"]): event for event in events("usual")}
    after = {str(event["UID"]): event for event in events("changed")}
    names = lambda events: sorted(str(event["SUMMARY"]).split(": ", 1)[1] for event in events.values())
    assert before.keys() == after.keys() and names(before) == names(after)
    moved = [uid for uid in before if before[uid]["DTSTART"].dt != after[uid]["DTSTART"].dt]
    assert len(moved) == len([item for item in result("usual")["items"] if item["expires_at"]])


@pytest.mark.parametrize("name", SETS)
def test_calendar_lines_are_within_the_length_limit(name):
    data = (PAGES / f"{name}.ics").read_bytes()
    assert data.endswith(b"END:VCALENDAR\r\n") and data.count(b"\n") == data.count(b"\r\n")
    lines = data.split(b"\r\n")
    assert max(map(len, lines)) <= 75
    for line in lines:
        line.decode()  # No fold falls within a character.


def test_hostile_text_adds_no_entries():
    for event in events("hostile"):
        assert not any(key.startswith("X-") for key in event)
        assert str(event["UID"]).endswith("@media-expiry-alerts")
        assert str(event.get("URL", "https://")).startswith("https://")


def test_omitted_items_are_counted():
    whole = len(result("endless")["items"])
    *found, note = rows("endless")
    left_out = json.loads((PAGES / "endless.csv.head.json").read_text())["headers"]["x-left-out"]
    assert len(found) + int(left_out) == whole
    assert f"{int(left_out):,}" in note["profile"]
    for form in ["html", "csv", "ics", "json"]:
        body = (PAGES / f"endless.{form}").read_text()
        assert 4_500_000 < len(json.dumps(body, ensure_ascii=False).encode()) < 6 * 1024 * 1024
    cut = json.loads((PAGES / "endless.json").read_text())
    assert len(cut["items"]) + cut["items_left_out"] == whole
