"""Draws the demo's memories from the full WordNet set: draw.py SOURCE TARGET.

Every synset that one of the first 500 example sentences illustrates is taken, and
seeded random others up to 10,000; rows keep their order. SOURCE holds base.f16,
memories.tsv, queries.dev.f16 and queries.dev.tsv (see README.md beside this file).
"""
import random
import sys

DIMENSION = 384
MEMORIES = 10_000
QUERIES = 500
SEED = 1


def rows_of(path):
    with open(path, "rb") as file:
        data = file.read()
    size = 2 * DIMENSION
    return [data[i:i + size] for i in range(0, len(data), size)]


def table(path):
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file][1:]


def main(source, target):
    base, memories = rows_of(f"{source}/base.f16"), table(f"{source}/memories.tsv")
    vectors, queries = rows_of(f"{source}/queries.dev.f16"), table(f"{source}/queries.dev.tsv")
    chosen = {int(gold) for _, gold in queries[:QUERIES]}
    others = [row for row in range(len(base)) if row not in chosen]
    chosen.update(random.Random(SEED).sample(others, MEMORIES - len(chosen)))
    order = sorted(chosen)
    place = {row: i for i, row in enumerate(order)}
    with open(f"{target}/base.f16", "wb") as file:
        file.writelines(base[row] for row in order)
    with open(f"{target}/memories.txt", "w", encoding="utf-8") as file:
        file.writelines(f"{memories[row][2]}: {memories[row][3]}\n" for row in order)
    with open(f"{target}/queries.f16", "wb") as file:
        file.writelines(vectors[:QUERIES])
    with open(f"{target}/queries.tsv", "w", encoding="utf-8") as file:
        file.writelines(f"{place[int(gold)]}\t{text}\n" for text, gold in queries[:QUERIES])


if __name__ == "__main__":
    main(*sys.argv[1:3])
