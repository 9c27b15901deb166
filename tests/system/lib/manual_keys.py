# SPDX-License-Identifier: GPL-2.0-or-later
#
# Compares "hsctl config --schema" on stdin with hotstandby.conf(5), the file named: keys by section, defaults, bounds,
# words. Prints what differs, and fails then.
import json
import re
import sys

UNITS = [("w", 604800), ("d", 86400), ("h", 3600), ("min", 60), ("s", 1), ("ms", 0.001), ("us", 0.000001)]
# where the manual says what is there without a setting in words of its own, or in the sentence itself
IN_WORDS = {"Probe", "Host", "Text", "User", "Paths"}


def spellings(usec):
    """As "10min" and "600s" say the same."""
    return {f"{round(usec / 1e6 / size)}{name}" for name, size in UNITS
            if abs(usec / 1e6 / size - round(usec / 1e6 / size)) < 1e-9 and usec}


def paragraphs(page):
    """{(section, key): its text without macros}"""
    found, section, open_keys = {}, None, []
    for line in page.split("\n"):
        if line.startswith(".Sh "):
            section = "Service" if line == ".Sh KEYS" else None
        elif re.match(r"\.Ss The section \[(Health|Front|FastPath)\]$", line):
            section = line.split("[")[1].rstrip("]")
        if re.match(r"\.(Sh|Ss) ", line):
            open_keys = []
        if section and line.startswith(".It Va "):
            open_keys = [(section, key) for key in re.findall(r"(\w+)=", line)]
        for key in open_keys:
            text = re.sub(r"^\.(Bl|El|Pp|Bd|Ed).*", "", line)
            text = re.sub(r"^\.[A-Z][a-z] (Cm |Li |Va )?", "", text)
            found[key] = found.get(key, "") + " " + text.replace("\\ ", " ")
    return found


def says(text, words):
    return any(re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", text) for word in words)


def bounds(row):
    if row["type"] == "number":
        return [{str(row["min"])}, {str(row["max"])}]
    if row["type"] == "span":
        return [spellings(value) for value in (row["min"], row["max"]) if value]
    return []


def differences(row, text):
    default = row["default_text"] or "empty"
    if row["key"] not in IN_WORDS:
        _, _, behind = text.rpartition("Default:")
        if not says(behind, {default}):
            yield f"default {default}"
    for bound in bounds(row):
        if not says(text, bound):
            yield f"bound {' or '.join(sorted(bound))}"
    for word in row["values"] or []:
        if not says(text, {word}):
            yield f"word {word}"
    if row["type"] == "switch" and "boolean" not in text:
        yield "that it is a boolean"


rows = {(row["section"], row["key"]): row for row in json.load(sys.stdin)}
with open(sys.argv[1], encoding="utf-8") as manual:
    texts = paragraphs(manual.read())
wrong = [f"{key}= of [{section}] is in the manual alone" for section, key in texts.keys() - rows.keys()]
wrong += [f"{key}= of [{section}] is not in the manual" for section, key in rows.keys() - texts.keys()]
for place in rows.keys() & texts.keys():
    wrong += [f"{place[1]}=: the manual does not say {what}" for what in differences(rows[place], texts[place])]
print("\n".join(sorted(wrong)) or f"{len(rows)} keys, as in the manual")
sys.exit(1 if wrong else 0)
