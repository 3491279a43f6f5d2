"""Draws the demo's memories from the full WordNet set: draw.py SOURCE TARGET.

Every synset that one of the first 500 example sentences illustrates is taken, and
seeded random others up to 10,000; rows keep their order. With them go the relations
among them and the cue words that name at least one of them, both as files for `engram
link`, and the cue words in each sentence, as a file for `engram recall --named`. SOURCE
holds base.f16, memories.tsv, edges.tsv, cue_words.tsv, queries.dev.f16, queries.dev.tsv
and queries.dev.cues.tsv (see README.md beside this file).
"""
import random
import sys

DIMENSION = 384
MEMORIES = 10_000
QUERIES = 500
SEED = 1
# The pointer symbols of WordNet 3.0, as its documentation of data files explains them.
RELATIONS = {
    "!": "antonym", "@": "hypernym", "@i": "instance hypernym", "~": "hyponym",
    "~i": "instance hyponym", "#m": "member holonym", "#s": "substance holonym",
    "#p": "part holonym", "%m": "member meronym", "%s": "substance meronym",
    "%p": "part meronym", "=": "attribute", "+": "derivation", ";c": "topic", "-c": "topic member",
    ";r": "region", "-r": "region member", ";u": "usage", "-u": "usage member",
    "*": "entailment", ">": "cause", "^": "see also", "$": "verb group", "&": "similar to",
    "<": "participle",
}


def rows_of(path):
    with open(path, "rb") as file:
        data = file.read()
    size = 2 * DIMENSION
    return [data[i:i + size] for i in range(0, len(data), size)]


def table(path):
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file][1:]


def draw_relations(source, target, place):
    """Two synsets may be related by several of their words: one edge for each relation."""
    edges = {(place[int(from_row)], place[int(to_row)], relation): None
             for from_row, to_row, relation, _ in table(f"{source}/edges.tsv")
             if int(from_row) in place and int(to_row) in place}
    # A "\\" means "pertains to" from an adjective, and "derived from" from an adverb.
    with open(f"{target}/relations.tsv", "w", encoding="utf-8") as file:
        file.write("from\tto\ttype\n")
        file.writelines(f"{a}\t{b}\t{RELATIONS.get(relation, 'pertains to')}\n"
                        for a, b, relation in edges)


def draw_cues(source, target, place):
    """A cue word names the sampled ones of its rows; the sentences keep those that name any."""
    words = table(f"{source}/cue_words.tsv")
    kept = {}
    with open(f"{target}/cue_words.tsv", "w", encoding="utf-8") as file:
        file.write("from_key\tto\n")
        for line, (word, _, rows) in enumerate(words):
            named = [place[int(row)] for row in rows.split(",") if int(row) in place]
            if named:
                kept[line] = word
            file.writelines(f"{word}\t{row}\n" for row in named)
    lines = {int(query): numbers for query, numbers in table(f"{source}/queries.dev.cues.tsv")}
    with open(f"{target}/query_cues.txt", "w", encoding="utf-8") as file:
        for query in range(QUERIES):
            numbers = [int(number) for number in lines.get(query, "").split(",") if number]
            found = [kept[number] for number in numbers if number in kept]
            # As --named wants them: a number would be an id without the "=".
            found = ["=" + word if word.isdigit() else word for word in found]
            file.write("\t".join(found) + "\n")


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
    draw_relations(source, target, place)
    draw_cues(source, target, place)


if __name__ == "__main__":
    main(*sys.argv[1:3])
