# SPDX-License-Identifier: GPL-2.0-or-later
# interface.py FILE NAME: an interface as introspection has it, a line for each thing in it, sorted.
# interface.py --explained FILE...: fails if a method, an argument, a property or a signal has no words in the comments.
import re
import sys
import xml.etree.ElementTree as tree


def notes(node):
    return " ".join(sorted(f"{n.get('name')}={n.get('value')}" for n in node.findall("annotation")))


def lines(interface):
    for node in interface:
        if node.tag in ("method", "signal"):
            given = " ".join(f"{a.get('direction', 'out')}:{a.get('type')}:{a.get('name')}" for a in node.findall("arg"))
            yield f"{node.tag} {node.get('name')} {given} {notes(node)}"
        elif node.tag == "property":
            yield f"property {node.get('name')} {node.get('type')} {node.get('access')} {notes(node)}"


def unexplained(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    words = " ".join(re.findall(r"<!--(.*?)-->", text, re.S))
    for node in tree.fromstring(text).iter():
        name = node.get("name")
        if node.tag in ("method", "signal", "property") and f"{name}:" not in words:
            yield f"{path}: {node.tag} {name}"
        if node.tag == "arg" and f"@{name}" not in words:
            yield f"{path}: argument {name}"


if sys.argv[1] == "--explained":
    wrong = [line for path in sys.argv[2:] for line in unexplained(path)]
    print("\n".join(wrong))
    sys.exit(bool(wrong))
with open(sys.argv[1], encoding="utf-8") as source:
    found = tree.fromstring(source.read()).find(f"interface[@name='{sys.argv[2]}']")
print("\n".join(sorted(lines(found))))
