#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# coverage.py FILE: from gcov's JSON on stdin, how many lines of each folder were reached. Those that were not go into
# FILE. A line of a header is reached when it is by anybody.
import collections
import json
import os
import sys


def read(stream):
    """Counts by file and line."""
    counts = collections.defaultdict(collections.Counter)
    for document in stream:
        for file in json.loads(document)['files']:
            name = os.path.relpath(file['file'])
            if name.startswith(('manager/', 'bpf/')):
                for line in file['lines']:
                    counts[name][line['line_number']] += line['count']
    return counts


def row(name, lines, reached):
    print(f'{name:<24} {lines:6} {reached:8} {100 * reached / max(lines, 1):6.1f} %')


def write_unreached(counts, path):
    with open(path, 'w', encoding='utf-8') as out:
        for name, lines in sorted(counts.items()):
            with open(name, encoding='utf-8') as file:
                text = file.read().split('\n')
            for number in sorted(n for n, count in lines.items() if not count):
                print(f'{name}:{number}: {text[number - 1].strip()}', file=out)


def main():
    counts = read(line for line in sys.stdin if line.startswith('{'))
    sums = collections.defaultdict(lambda: [0, 0])
    for name, lines in counts.items():
        for key in (os.path.dirname(name), 'all'):
            sums[key][0] += len(lines)
            sums[key][1] += sum(1 for count in lines.values() if count)
    print(f'{"folder":<24} {"lines":>6} {"reached":>8}')
    for key in sorted(sums, key=lambda key: (key == 'all', key)):
        row(key, *sums[key])
    write_unreached(counts, sys.argv[1])
    print(f'Lines that no test reaches: {sys.argv[1]}')


main()
