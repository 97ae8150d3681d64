"""Compiled loops over rows and classes: grouping, distributions of sensitive values, sums for metrics, the lattice.

What belongs here: loops whose time grows with the table or the lattice, on plain arrays. What does not: what their
results mean; see check.py, metrics.py, lattice.py and models/.

Conventions: ``codes`` is (combinations, columns), the leaf of each; a *source* are the classes of a finer
transformation (or all combinations) with their rows; ``tables`` holds, for each column, what a leaf becomes, and
``starts`` where in ``tables`` that column begins. Sums are whole numbers, so that results depend neither on the order
of rows nor on the path by which a class was counted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from meddata_pipeline.privacy.tabular.jit import compiled

# Arrays are typed loosely here: the compiler infers their types, and a stub of every overload would say no more.
Array = Any


@compiled
def group(
    codes: Array,
    columns: Array,
    tables: Array,
    starts: Array,
    space: int,
    rows: Array,
    population: Array,
    segments: Array,
    least: int,
    limit: int,
    small: Array,
    part: int,
    dense: Array,
    slot_keys: Array,
    slot_ids: Array,
    first: Array,
    total: Array,
    places: Array,
    numbered: bool,
) -> Any:
    """Number the classes of a source under one transformation and add up their rows, segment by segment.

    A segment holds every row of its classes. So its small classes are final when it ends, and counting stops once more
    rows than may be suppressed are in such classes; and the table for hashing stays as small as one segment needs.
    Several calls may share the segments: each takes every ``len(small)``-th one, and all stop on the sum of ``small``.

    Args:
        codes: (m, p) uint16, packed codes of the source.
        columns: (a,) int64, packs that tell rows apart at this transformation.
        tables: int64, each pack's part of the key by code.
        starts: (a,) int64, where each pack's table begins.
        space: number of keys; they are looked up directly when ``dense`` has room for them.
        rows: (m,) int32.
        population: (m,) int32, rows in the whole table; empty when that is the same.
        segments: (s + 1,) int64, where each segment begins.
        least: classes of fewer rows are small; 0 asks nothing.
        limit: rows that small classes may hold.
        small: (calls,) int64, rows in small classes that each call has found; all 0 before, entry ``part`` is written.
        part: which segments this call takes, 0 … calls - 1.
        dense: (d,) int32, -1 in every cell; is left so.
        slot_keys: (h,) int64, scratch for hashing; h is a power of two and at least twice the longest segment.
        slot_ids: (h,) int32, -1 in every cell; is left so.
        first: scratch, int32, at least m long.
        total: scratch, int32, at least m long.
        places: scratch, int32, at least m long.
        numbered: whether the class of each member is asked for.

    Returns:
        ids (m,) int32 or empty, first member of each class (c,) int32, rows (c,), population (c,), where the classes
        of each segment of this call begin and end (t + 1,), and whether all its segments were counted.
    """
    m = len(rows)
    a = len(columns)
    ids = np.empty(m if numbered else 0, np.int32)
    two = len(population) > 0
    whole = np.empty(m if two else 0, np.int32)
    calls = len(small)
    ends = np.zeros((len(segments) - 1 - part + calls - 1) // calls + 1, np.int64)
    direct = space <= len(dense)
    count = 0
    done = 0
    for s in range(part, len(segments) - 1, calls):
        begin = count
        mask = np.int64(0)
        if not direct:
            need = 2 * min(segments[s + 1] - segments[s], space)
            width = np.int64(16)
            while width < need:
                width *= 2
            mask = width - 1
        for j in range(segments[s], segments[s + 1]):
            key = np.int64(0)
            for c in range(a):
                key += tables[starts[c] + codes[j, columns[c]]]
            if direct:
                at = dense[key]
                if at < 0:
                    dense[key] = count
                    places[count] = key
            else:
                mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
                slot = np.int64(mixed >> np.uint64(32)) & mask
                at = slot_ids[slot]
                while at >= 0 and slot_keys[slot] != key:
                    slot = (slot + 1) & mask
                    at = slot_ids[slot]
                if at < 0:
                    slot_ids[slot] = count
                    slot_keys[slot] = key
                    places[count] = slot
            if at < 0:
                at = count
                first[at] = j
                total[at] = 0
                if two:
                    whole[at] = 0
                count += 1
            if numbered:
                ids[j] = at
            total[at] += rows[j]
            if two:
                whole[at] += population[j]
        for i in range(begin, count):
            if direct:
                dense[places[i]] = -1
            else:
                slot_ids[places[i]] = -1
            if total[i] < least:
                small[part] += total[i]
        done += 1
        ends[done] = count
        if small.sum() > limit:
            break
    return (
        ids,
        first[:count].copy(),
        total[:count].copy(),
        whole[: count if two else 0].copy(),
        ends[: done + 1],
        done == len(ends) - 1,
    )


@compiled
def sort_segments(
    codes: Array, columns: Array, tables: Array, starts: Array, count: int, rows: Array, population: Array
) -> Any:
    """Sort combinations into segments, the smallest segments first: they hold most of the small classes.

    Args:
        codes: (n, p) uint16, packed codes.
        columns: (a,) int64, packs that tell segments apart.
        tables: int64, each pack's part of the number of the segment.
        starts: (a,) int64, where each pack's table begins.
        count: number of segments.
        rows: (n,) int32.
        population: (n,) int32 or empty.

    Returns:
        order (n,) int32, codes, rows and population in that order, segments (s + 1,) int64 without empty ones.
    """
    n = len(rows)
    held = np.zeros(count, np.int64)
    number = np.empty(n, np.int32)
    for j in range(n):
        key = np.int64(0)
        for c in range(len(columns)):
            key += tables[starts[c] + codes[j, columns[c]]]
        number[j] = key
        held[key] += 1
    ranked = np.argsort(held, kind="mergesort")
    fill = np.zeros(count, np.int64)
    ends = np.zeros(count + 1, np.int64)
    used = 0
    at = np.int64(0)
    for r in range(count):
        s = ranked[r]
        if held[s]:
            fill[s] = at
            at += held[s]
            used += 1
            ends[used] = at
    order = np.empty(n, np.int32)
    out_codes = np.empty_like(codes)
    out_rows = np.empty_like(rows)
    out_population = np.empty_like(population)
    for j in range(n):
        to = fill[number[j]]
        fill[number[j]] += 1
        order[to] = j
        for c in range(codes.shape[1]):
            out_codes[to, c] = codes[j, c]
        out_rows[to] = rows[j]
        if len(population):
            out_population[to] = population[j]
    return order, out_codes, out_rows, out_population, ends[: used + 1].copy()


@compiled
def persons(ids: Array, combination: Array, person: Array, count: int) -> Any:
    """Distinct persons of each class.

    Args:
        ids: (n,) int32, class of each combination.
        combination: (p,) int32, pairs of combination and person, sorted by person.
        person: (p,) int32.
        count: number of classes.

    Returns:
        (count,) int64.
    """
    result = np.zeros(count, np.int64)
    seen = np.full(count, -1, np.int64)
    for i in range(len(combination)):
        at = ids[combination[i]]
        if seen[at] != person[i]:
            seen[at] = person[i]
            result[at] += 1
    return result


@compiled
def merge_values(ids: Array, count: int, starts: Array, values: Array, counts: Array, distinct: int) -> Any:
    """Distributions of a sensitive column for classes that are made of others.

    Args:
        ids: (m,) int32, class of each member.
        count: number of classes.
        starts: (m + 1,) int64, where each member's values begin.
        values: (t,) int32, values of each member, rising.
        counts: (t,) int64, rows of each.
        distinct: number of distinct values of the column.

    Returns:
        starts (count + 1,), values and counts of the classes, values rising.
    """
    m = len(ids)
    begin = np.zeros(count + 1, np.int64)
    for j in range(m):
        begin[ids[j] + 1] += 1
    for c in range(count):
        begin[c + 1] += begin[c]
    fill = begin[:-1].copy()
    members = np.empty(m, np.int32)
    for j in range(m):
        members[fill[ids[j]]] = j
        fill[ids[j]] += 1
    out_starts = np.zeros(count + 1, np.int64)
    out_values = np.empty(len(values), np.int32)
    out_counts = np.empty(len(values), np.int64)
    scratch = np.zeros(distinct, np.int64)
    touched = np.empty(distinct, np.int32)
    at = 0
    for c in range(count):
        found = 0
        for k in range(begin[c], begin[c + 1]):
            j = members[k]
            for e in range(starts[j], starts[j + 1]):
                v = values[e]
                if scratch[v] == 0:
                    touched[found] = v
                    found += 1
                scratch[v] += counts[e]
        if found <= 12:
            for e in range(1, found):
                v = touched[e]
                k = e
                while k > 0 and touched[k - 1] > v:
                    touched[k] = touched[k - 1]
                    k -= 1
                touched[k] = v
        elif found * 8 < distinct:
            touched[:found].sort()
        if found <= 12 or found * 8 < distinct:
            for e in range(found):
                v = touched[e]
                out_values[at] = v
                out_counts[at] = scratch[v]
                scratch[v] = 0
                at += 1
        else:
            for v in range(distinct):
                if scratch[v]:
                    out_values[at] = v
                    out_counts[at] = scratch[v]
                    scratch[v] = 0
                    at += 1
        out_starts[c + 1] = at
    return out_starts, out_values[:at].copy(), out_counts[:at].copy()


@compiled
def person_values(ids: Array, count: int, combination: Array, value: Array, person: Array) -> Any:
    """Distributions of a sensitive column for classes, counting each person once for each value.

    Args:
        ids: (n,) int32, class of each combination.
        count: number of classes.
        combination: (t,) int32, triples sorted by value and then by person.
        value: (t,) int32.
        person: (t,) int32.

    Returns:
        As ``merge_values``.
    """
    t = len(combination)
    seen_value = np.full(count, -1, np.int64)
    seen_person = np.full(count, -1, np.int64)
    fresh = np.zeros(t, np.bool_)
    begin = np.zeros(count + 1, np.int64)
    for i in range(t):
        c = ids[combination[i]]
        if seen_value[c] != value[i] or seen_person[c] != person[i]:
            fresh[i] = True
            if seen_value[c] != value[i]:
                begin[c + 1] += 1
            seen_value[c] = value[i]
            seen_person[c] = person[i]
    for c in range(count):
        begin[c + 1] += begin[c]
    fill = begin[:-1].copy()
    values = np.empty(begin[count], np.int32)
    counts = np.zeros(begin[count], np.int64)
    for i in range(t):
        if fresh[i]:
            c = ids[combination[i]]
            if fill[c] == begin[c] or values[fill[c] - 1] != value[i]:
                values[fill[c]] = value[i]
                fill[c] += 1
            counts[fill[c] - 1] += 1
    return begin, values, counts


@compiled
def leaf_sums(packed: Array, packs: Array, rows: Array, failed: Array, leaves: Array, starts: Array) -> Any:
    """Sums of leaves over kept and over suppressed rows, per column: all that the Loss metric needs.

    Args:
        packed: (c, p) uint16, packed codes of the classes.
        packs: (q,) int64, the pack that each column is in.
        rows: (c,) int32.
        failed: (c,) bool, True where the class is suppressed.
        leaves: int64, leaves under what a column's value becomes, by its pack's code, column by column.
        starts: (q,) int64, where each column begins in ``leaves``.

    Returns:
        (2, q) int64, kept and suppressed.
    """
    q = len(packs)
    result = np.zeros((2, q), np.int64)
    for c in range(len(rows)):
        side = 1 if failed[c] else 0
        n = np.int64(rows[c])
        if n:
            for i in range(q):
                result[side, i] += n * leaves[starts[i] + packed[c, packs[i]]]
    return result


@compiled
def group_histogram(
    packed: Array, packs: Array, rows: Array, failed: Array, groups: Array, starts: Array, at: Array, size: int
) -> Any:
    """Suppressed rows by what their values become, column by column: what the entropy of suppressed rows needs.

    Args:
        packed: (c, p) uint16, packed codes of the classes.
        packs: (q,) int64, the pack that each column is in.
        rows: (c,) int32.
        failed: (c,) bool.
        groups: int64, group of a column's value, by its pack's code, column by column.
        starts: (q,) int64, where each column begins in ``groups``.
        at: (q,) int64, where each column's groups begin in the result.
        size: length of the result.

    Returns:
        (size,) int64.
    """
    result = np.zeros(size, np.int64)
    for c in range(len(rows)):
        if failed[c] and rows[c]:
            for i in range(len(packs)):
                result[at[i] + groups[starts[i] + packed[c, packs[i]]]] += rows[c]
    return result


@compiled
def size_sums(rows: Array, failed: Array) -> Any:
    """Sums over classes that hold rows.

    Args:
        rows: (c,) int64.
        failed: (c,) bool.

    Returns:
        (6,) int64: classes, kept classes, kept rows, suppressed rows, Σ rows², Σ rows² of kept classes.
    """
    result = np.zeros(6, np.int64)
    for c in range(len(rows)):
        n = np.int64(rows[c])
        if n:
            result[0] += 1
            result[4] += n * n
            if failed[c]:
                result[3] += n
            else:
                result[1] += 1
                result[2] += n
                result[5] += n * n
    return result


@compiled
def contingency(codes: Array, columns: Array, radix: Array, rows: Array, size: int) -> Any:
    """Rows of each combination of a few columns' leaves, as a dense table.

    Args:
        codes: (n, q) int32.
        columns: (a,) int64.
        radix: (a,) int64.
        rows: (n,) int64.
        size: product of the columns' leaves.

    Returns:
        (size,) int64.
    """
    result = np.zeros(size, np.int64)
    for j in range(len(rows)):
        key = np.int64(0)
        for c in range(len(columns)):
            key += codes[j, columns[c]] * radix[c]
        result[key] += rows[j]
    return result


@compiled
def fold(table: Array, before: int, size: int, after: int, groups: Array, count: int) -> Any:
    """Merge the values of one axis of a dense table.

    Args:
        table: (before * size * after,) int64.
        before: product of the axes before it.
        size: length of the axis.
        after: product of the axes after it.
        groups: (size,) int64, what each value of the axis becomes.
        count: number of groups.

    Returns:
        (before * count * after,) int64.
    """
    result = np.zeros(before * count * after, np.int64)
    for i in range(before):
        for j in range(size):
            to = (i * count + groups[j]) * after
            at = (i * size + j) * after
            for k in range(after):
                result[to + k] += table[at + k]
    return result


@compiled
def rows_below(table: Array, k: int) -> Any:
    """Rows in the cells of a dense table that hold fewer than ``k``."""
    result = np.int64(0)
    for i in range(len(table)):
        if table[i] < k:
            result += table[i]
    return result


@compiled
def smallest(keys: Array, alive: Array) -> Any:
    """Position of the lexicographically smallest key among those alive; the first of equal ones, -1 if there is none.

    Args:
        keys: (n, w) int64.
        alive: (n,) bool.
    """
    best = -1
    width = keys.shape[1]
    for n in range(len(alive)):
        if not alive[n]:
            continue
        if best < 0:
            best = n
            continue
        for w in range(width):
            if keys[n, w] != keys[best, w]:
                if keys[n, w] < keys[best, w]:
                    best = n
                break
    return best


@compiled
def mark(levels: Array, node: Array, above: bool, value: bool, flags: Array) -> None:
    """Set the flag of every transformation that is nowhere finer (above) or nowhere coarser than ``node``."""
    for n in range(len(flags)):
        inside = True
        for i in range(len(node)):
            if (levels[n, i] < node[i]) if above else (levels[n, i] > node[i]):
                inside = False
                break
        if inside:
            flags[n] = value


@compiled
def raise_parts(
    levels: Array,
    node: Array,
    above: bool,
    alive: Array,
    parts: Array,
    by_level: Array,
    mode: int,
    scale: float,
    keys: Array,
) -> None:
    """Raise lower bounds of transformations below (or above) a checked one to what the check implies.

    Args:
        levels: (n, q) int16.
        node: (q,) int16.
        above: True: transformations nowhere finer than ``node``; False: nowhere coarser.
        alive: (n,) bool.
        parts: (n, p) float64, lower bound of each part, changed in place.
        by_level: (p, levels) float64, what the check implies for each part at each level; p = 1 when the metric has no
            parts by column, and then the level is 0.
        mode: how parts become a key: 0 sum, 1 maximum, 2 ranked.
        scale: what parts are divided by.
        keys: (n, w) int64, changed in place.
    """
    p = parts.shape[1]
    for n in range(len(alive)):
        if not alive[n]:
            continue
        inside = True
        for i in range(len(node)):
            if (levels[n, i] < node[i]) if above else (levels[n, i] > node[i]):
                inside = False
                break
        if not inside:
            continue
        changed = False
        for i in range(p):
            implied = by_level[i, levels[n, i] if by_level.shape[1] > 1 else 0]
            if implied > parts[n, i]:
                parts[n, i] = implied
                changed = True
        if changed:
            write_key(parts[n], mode, scale, keys[n])


@compiled
def write_key(parts: Array, mode: int, scale: float, key: Array) -> None:
    """Write the comparable key of one transformation: whole numbers of 1e-12 of the scale, so that ties are ties."""
    p = len(parts)
    if mode == 2:
        ranked = -np.sort(-parts)
        for i in range(p):
            key[i] = np.int64(np.floor(ranked[i] / scale * 1e12 + 0.5))
        return
    value = 0.0
    for i in range(p):
        value = max(value, parts[i]) if mode == 1 else value + parts[i]
    value = value / scale * 1e12
    key[0] = np.int64(np.floor(value + 0.5)) if value < 9e18 else np.int64(9_000_000_000_000_000_000)


@compiled
def write_keys(parts: Array, mode: int, scale: float, keys: Array) -> None:
    """Write the keys of all transformations; see ``write_key``."""
    for n in range(len(parts)):
        write_key(parts[n], mode, scale, keys[n])


@compiled
def chain(start: int, levels: Array, depths: Array, radix: Array, number: Array, keys: Array) -> Any:
    """A way up from a transformation; each step is the one with the least bound.

    Args:
        start: number of the transformation.
        levels: (n, q) int16.
        depths: (q,) int64, number of levels of each column.
        radix: (q,) int64, mixed radix of levels.
        number: (n,) int64, number of a transformation by its mixed radix value.
        keys: (n, w) int64.

    Returns:
        int64, numbers of the transformations, without ``start``.
    """
    q = levels.shape[1]
    width = keys.shape[1]
    node = levels[start].astype(np.int64)
    at = np.int64(0)
    longest = np.int64(0)
    for i in range(q):
        at += node[i] * radix[i]
        longest += depths[i] - 1 - node[i]
    path = np.empty(longest, np.int64)
    length = 0
    while True:
        best = np.int64(-1)
        step = -1
        for i in range(q):
            if node[i] + 1 < depths[i]:
                after = number[at + radix[i]]
                if best < 0:
                    best, step = after, i
                    continue
                for w in range(width):
                    if keys[after, w] != keys[best, w]:
                        if keys[after, w] < keys[best, w]:
                            best, step = after, i
                        break
        if best < 0:
            break
        node[step] += 1
        at += radix[step]
        path[length] = best
        length += 1
    return path[:length].copy()


@compiled
def smallest_finer(nodes: Array, sizes: Array, count: int, node: Array) -> Any:
    """The smallest of some transformations that are nowhere coarser than ``node``; -1 when there is none.

    Args:
        nodes: (s, q) int16.
        sizes: (s,) int64; 0 is an empty place.
        count: places in use.
        node: (q,) int16.
    """
    best = -1
    for s in range(count):
        if sizes[s] == 0 or (best >= 0 and sizes[s] >= sizes[best]):
            continue
        inside = True
        for i in range(len(node)):
            if nodes[s, i] > node[i]:
                inside = False
                break
        if inside:
            best = s
    return best


@compiled
def rows_of(rows: Any, failed: Any) -> Any:
    """Rows of the classes that have failed already."""
    gone = np.int64(0)
    for c in range(len(failed)):
        if failed[c]:
            gone += rows[c]
    return gone


@compiled
def widest_column(
    parts: Array, leaf: Array, levels: Array, stuck: Array, codes: Array, shares: Array, begin: Array, weights: Array
) -> Any:
    """The column whose value stands for most leaves, among those that a part can still be split by.

    Args:
        parts: (a,) int64, numbers of the parts asked about.
        leaf: (p,) int64, a combination of each part.
        levels: (p, q) int8.
        stuck: (p, q) bool, True where a column can't be split any more.
        codes: (n, q) int32.
        shares: float64, share of leaves under what each leaf becomes, by column and level.
        begin: (q, levels) int64, where a column's level begins in ``shares``.
        weights: (q,) float64.

    Returns:
        (a,) int8, -1 where there is none.
    """
    result = np.empty(len(parts), np.int8)
    for a in range(len(parts)):
        part = parts[a]
        best = -1.0
        result[a] = -1
        for i in range(codes.shape[1]):
            if not stuck[part, i]:
                width = shares[begin[i, levels[part, i]] + codes[leaf[part], i]] * weights[i]
                if width > best:
                    best = width
                    result[a] = i
    return result


@compiled
def finer_groups(
    active: Array, part: Array, column: Array, levels: Array, codes: Array, groups: Array, begin: Array
) -> Any:
    """What each combination becomes when its part is split: its group one level finer in the part's column.

    Args:
        active: (a,) int32, combinations.
        part: (n,) int32.
        column: (p,) int8.
        levels: (p, q) int8.
        codes: (n, q) int32.
        groups: int64, group of each leaf, by column and level.
        begin: (q, levels) int64.

    Returns:
        (a,) int64.
    """
    result = np.empty(len(active), np.int64)
    for a in range(len(active)):
        row = active[a]
        i = column[part[row]]
        result[a] = groups[begin[i, levels[part[row], i] - 1] + codes[row, i]]
    return result
