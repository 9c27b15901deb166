#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
rooms.py: what the structure of manager/ forbids, a line each.

A room includes what scripts/lib/rooms.txt lets it. And among its files none leads back to itself, by what it includes
or by whose functions it names: each can be read with those below it alone. X.c and X.h are one.
"""
import collections
import os
import re

TABLE = 'scripts/lib/rooms.txt'
INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*', re.S)
LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'')
# as clang-format leaves it: the name in the first column's line, the brace in the first column
FUNCTION = re.compile(r'^(?!static\b|typedef\b)[A-Za-z_][\w \t*]*?\b(\w+)\([^;{}]*\)\s*\n\{', re.M)
CALL = re.compile(r'\b(\w+)\(')
NAME = re.compile(r'(?<![\w.>])\w+')


def read_table():
    """What each room may include."""
    reached = {}
    with open(TABLE, encoding='utf-8') as file:
        for line in file:
            if line.strip() and not line.startswith('#'):
                room, *named = line.split()
                reached[room] = set(named).union(*(reached[name] for name in named))
    return reached


def read_tree():
    """Path below manager/ -> (what it includes, its text without comments and literals)."""
    tree = {}
    for folder, _, names in os.walk('manager'):
        for name in names:
            if name.endswith(('.c', '.h')):
                path = os.path.join(folder, name)
                with open(path, encoding='utf-8') as file:
                    text = COMMENT.sub(' ', file.read())
                tree[os.path.relpath(path, 'manager')] = (INCLUDE.findall(text), LITERAL.sub('""', text))
    return tree


def room_of(path, reached):
    """As the table has it: "core/watch", "service/"."""
    folder = os.path.dirname(path)
    return folder if folder in reached or not folder else path.split('/')[0] + '/'


def check_rooms(tree, reached):
    for path, (includes, _) in sorted(tree.items()):
        room = room_of(path, reached)
        if room not in reached:
            print(f'manager/{path} is in a room that {TABLE} does not have')
            continue
        for other in includes:
            of = room_of(other, reached)
            # without a folder it is of bpf/, or made of that
            if of and of != room and of not in reached[room]:
                print(f'manager/{path} includes {other}: {TABLE} does not let {room} include {of}')


def stem(path):
    return os.path.splitext(path)[0]


def visible(tree, path):
    """The file and all headers that it sees."""
    seen, left = set(), [path]
    while left:
        file = left.pop()
        if file in tree and file not in seen:
            seen.add(file)
            left += tree[file][0]
    return seen


def edges_of(tree):
    """stem -> stem -> why."""
    defined = {name: stem(path) for path, (_, text) in tree.items() if path.endswith('.c')
               for name in FUNCTION.findall(text)}
    declared = {path: set(CALL.findall(text)) & defined.keys() for path, (_, text) in tree.items()}
    edges = collections.defaultdict(dict)
    for path, (includes, text) in tree.items():
        for other in includes:
            if other in tree and stem(other) != stem(path):
                edges[stem(path)][stem(other)] = 'includes it'
        if not path.endswith('.c'):
            continue
        # a word may be the name of a function elsewhere, and a field here: it counts where that function is declared
        known = set().union(*(declared[header] for header in visible(tree, path) if header != path))
        for name in known.intersection(NAME.findall(text)):
            if defined[name] != stem(path):
                edges[stem(path)].setdefault(defined[name], f'calls {name}()')
    return edges


def find_circle(edges):
    """One circle as a list of stems, or None."""
    done, trail = set(), []

    def follow(node):
        if node in trail:
            return trail[trail.index(node):]
        if node in done:
            return None
        trail.append(node)
        for other in sorted(edges.get(node, ())):
            circle = follow(other)
            if circle:
                return circle
        trail.pop()
        done.add(node)
        return None

    return next((circle for circle in map(follow, sorted(edges)) if circle), None)


def check_circles(tree):
    edges = edges_of(tree)
    while circle := find_circle(edges):
        ways = list(zip(circle, circle[1:] + circle[:1]))
        print('a circle: ' + ', '.join(f'{a} -> {b} ({edges[a][b]})' for a, b in ways))
        # what else is wrong shows without this one
        del edges[ways[-1][0]][ways[-1][1]]


def main():
    tree = read_tree()
    check_rooms(tree, read_table())
    check_circles(tree)


main()
