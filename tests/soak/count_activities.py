#!/usr/bin/env python3
"""Counts by hand what the program should see of some addresses in recorded blocks.

It reads the same raw JSON by a path of its own and shares no code with the program, so that a difference between the two is
a bug in one of them. Counted per watched address, as the documentation of activities says:

  call   a transaction to it, or a call to it inside a wallet's envelope or a MultiSend list, by anyone but itself
  act    a call that it makes inside such a wrapper; of an account, every transaction it sends
  event  a log that it emits
  move   a transfer or an allowance logged by another contract that names it

usage: count_activities.py --watch KIND:ADDRESS[:LABEL] ... FILE.json.gz ... [--against VERDICTS.jsonl]

Files hold {"block": ..., "receipts": [...]} as a node wrote them, gzip'd or plain. With --against, the counts are compared with
the verdict lines that `watchfire tape play --format json` printed; the exit code is 1 when they differ.
"""

import argparse
import collections
import gzip
import json
import sys

KINDS = ("call", "act", "event", "move")
EXEC = "6a761202"
MODULE_EXEC = ("468721a7", "5229073f")
MULTI_SEND = "8d80ff0a"
SUBMIT, CONFIRM, EXECUTE = "c6427474", "c01a8c84", "ee22610b"
TRANSFER = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
APPROVAL = "8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"
SINGLE = "c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"
BATCH = "4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"
FOR_ALL = "17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31"
# MultiSend and MultiSendCallOnly 1.1.1 to 1.5.0, where safe-deployments says.
LIBRARIES = {
    "8d29be29923b68abfdd21e541b9374737b49cdad",
    "a238cbeb142c10ef7ad8442c6d1f9e89e07e7761",
    "998739bfdaadde7c933b942a68053933098f9eda",
    "38869bf66a61cf6bdb996a6ae40d5853fd43b526",
    "218543288004cd07832472d464648173c77d7eb7",
    "40a2accbd92bca938b02010e17a5b8929b49130d",
    "a1dabef33b3b82c7814b6d82a79e50f4ac44102b",
    "9641d764fc13c8b624c04430c7356c1c7c8102e2",
    "a83c336b20401af773b6219ba5027174338d1836",
}


def plain(text):
    return (text or "").lower().removeprefix("0x")


def word(data, index):
    """The word at a place in calldata without its selector, in hex; zeros behind the end."""
    return data[64 * index : 64 * index + 64].ljust(64, "0")


def payload(data, index):
    """The `bytes` argument whose offset stands in the head at `index`."""
    at = int(word(data, index), 16) * 2
    size = int(data[at : at + 64].ljust(64, "0"), 16) * 2
    return data[at + 64 : at + 64 + size]


def opened(tx, watched):
    """(caller, target, delegated, depth, silent) of the transaction's call and of everything wrapped in it."""
    frames = []

    def call(caller, target, data, delegated, depth):
        selector, rest = data[:8], data[8:]
        batch = target in LIBRARIES and selector == MULTI_SEND
        frames.append((caller, target, delegated, depth, batch and delegated))
        if batch:
            items = payload(rest, 0)
            sender = caller if delegated else target
            at = 0
            while at + 64 < len(items):
                size = int(items[at + 106 : at + 170], 16) * 2
                to = items[at + 2 : at + 42]
                call(sender, to, items[at + 170 : at + 170 + size], items[at : at + 2] != "00", depth + 1)
                at += 170 + size
        elif delegated:
            return
        elif selector == EXEC or selector in MODULE_EXEC:
            if watched.get(target, "safe") == "safe":
                call(target, word(rest, 0)[24:], payload(rest, 2), int(word(rest, 3), 16) != 0, depth + 1)
        elif watched.get(target) == "multisig" and selector == SUBMIT:
            call(target, word(rest, 0)[24:], payload(rest, 2), False, depth + 1)
        elif watched.get(target) == "multisig" and selector in (CONFIRM, EXECUTE):
            # What it does is in the wallet's storage: one act, whatever it is.
            frames.append((target, None, False, depth + 1, False))

    call(plain(tx["from"]), plain(tx["to"]) or None, plain(tx["input"]), False, 0)
    return frames


def parties(log):
    topics = [plain(topic) for topic in log["topics"]]
    if not topics:
        return []
    if topics[0] in (TRANSFER, APPROVAL):
        words = topics[1:] + [word(plain(log["data"]), index) for index in range(3)]
        return [words[0][24:], words[1][24:]]
    if topics[0] in (SINGLE, BATCH) and len(topics) == 4:
        return [topics[2][24:], topics[3][24:]]
    if topics[0] == FOR_ALL and len(topics) == 3:
        return [topics[1][24:], topics[2][24:]]
    return []


def count(files, watched):
    counts = collections.Counter()
    for name in files:
        raw = open(name, "rb").read()
        pair = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
        for tx, receipt in zip(pair["block"]["transactions"], pair["receipts"], strict=True):
            assert tx["hash"] == receipt["transactionHash"], name
            for caller, target, delegated, depth, silent in opened(tx, watched):
                if silent:
                    continue
                if caller in watched and (depth > 0 or watched[caller] == "eoa"):
                    counts[caller, "act"] += 1
                if target in watched and not delegated and target != caller:
                    counts[target, "call"] += 1
            for log in receipt["logs"]:
                emitter = plain(log["address"])
                if emitter in watched:
                    counts[emitter, "event"] += 1
                for party in set(parties(log)) & watched.keys():
                    if party != emitter:
                        counts[party, "move"] += 1
    return counts


def told(file):
    """Verdict lines of the program, without EIP-7702 authorizations, which are recovered and not counted here."""
    counts = collections.Counter()
    for line in open(file, encoding="utf-8"):
        line = json.loads(line)
        if line["type"] == "verdict" and not line["position"].startswith("authorization"):
            counts[plain(line["address"]), line["activity"]] += 1
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watch", action="append", required=True, metavar="KIND:ADDRESS[:LABEL]")
    parser.add_argument("--against", metavar="VERDICTS.jsonl")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    watches = [(*watch.split(":"), "")[:3] for watch in args.watch]
    watched = {plain(address): kind for kind, address, _ in watches}
    counted = count(args.files, watched)
    seen = told(args.against) if args.against else None
    differs = False
    for kind, address, label in watches:
        cells = []
        for what in KINDS:
            mine = counted[plain(address), what]
            theirs = mine if seen is None else seen[plain(address), what]
            differs |= mine != theirs
            cells.append(f"{what} {mine}" if mine == theirs else f"{what} {mine} (program: {theirs})")
        print(f"{kind:9}{address} {label:24} {'  '.join(f'{cell:12}' for cell in cells)}")
    sys.exit(1 if differs else 0)


if __name__ == "__main__":
    main()
